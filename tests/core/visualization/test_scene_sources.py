"""Where the vertebrae of a scene come from: a mask, else a segmenter, else presence."""

from __future__ import annotations

import numpy as np
import pytest

from core.constants import N_VERTEBRAE
from core.errors import SceneError
from core.models.pairs import choose_segmenter
from core.visualization import scene_sources as sources_module
from core.visualization.labels import VertebraLabels
from core.visualization.scene_sources import SceneSources, scene_sources
from core.visualization.scene_surfaces import load_parts
from tests.core.visualization.solids import volume_of


@pytest.fixture
def segmenter(untrained_segmenter):
    return choose_segmenter(untrained_segmenter)


@pytest.fixture
def solid():
    labels = np.zeros((24, 40, 40), np.uint8)
    labels[6:18, 12:28, 12:28] = 4
    return labels, volume_of(labels * 200.0)


def finds(monkeypatch, labels):
    """Let any segmenter find these labels."""
    found = None if labels is None else VertebraLabels(labels, "segmenter")
    monkeypatch.setattr(sources_module, "labels_from_segmenter", lambda *_: found)


def test_a_study_without_a_mask_is_segmented(tmp_path, monkeypatch, solid, segmenter):
    labels, volume = solid
    finds(monkeypatch, labels)
    sources = SceneSources(volume, "0" * 64, None, None, None, segmenter)
    packed = sources.build(tmp_path)
    assert packed.source == "segmenter"
    assert list(packed.unpack().vertebrae) == ["C4"]
    assert load_parts(tmp_path, sources.key(tmp_path)).source == "segmenter"


def test_where_the_segmenter_finds_nothing_presence_is_used(
    tmp_path, monkeypatch, solid, segmenter
):
    _, volume = solid
    finds(monkeypatch, None)
    presence = np.zeros((24, N_VERTEBRAE), np.float32)
    presence[6:18, 3] = 1
    found = SceneSources(volume, "0" * 64, None, None, presence, segmenter).build(tmp_path)
    assert found.source == "presence"
    with pytest.raises(SceneError, match="finds no vertebra"):
        SceneSources(volume, "0" * 64, None, None, None, segmenter).build(tmp_path)


def test_surfaces_of_another_source_have_another_name(tmp_path, solid, segmenter):
    _, volume = solid
    presence = np.zeros((24, N_VERTEBRAE), np.float32)
    plain = SceneSources(volume, "0" * 64, None, None, presence)
    assert plain.key(tmp_path) != SceneSources(
        volume, "0" * 64, None, None, presence, segmenter
    ).key(tmp_path)


def test_without_mask_segmenter_and_scores_there_is_no_scene(solid, segmenter):
    _, volume = solid
    assert scene_sources(volume, "0" * 64, None, None) is None
    assert scene_sources(volume, "0" * 64, None, None, segmenter) is not None
