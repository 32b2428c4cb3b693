from __future__ import annotations

import time

import numpy as np
import pytest

from core.errors import SceneError
from core.system.process_limits import Limits
from core.system.sandbox import ConfinedWorker
from core.visualization.labels import VertebraLabels
from core.visualization.plotter import SceneLook
from core.visualization.scene_surfaces import build_parts, pack_parts, parts_key
from dashboard.spine_3d import second_renderer, surfaces
from tests.core.visualization.solids import volume_of


@pytest.fixture
def packed():
    hu = np.zeros((12, 24, 24), np.int16)
    labels = np.zeros(hu.shape, np.uint8)
    labels[2:9, 6:18, 6:18] = 4
    volume = volume_of(hu)
    return pack_parts(build_parts(volume, VertebraLabels(labels, "mask")), parts_key("c4"), volume)


@pytest.fixture(autouse=True)
def fresh():
    second_renderer._pool.clear()
    yield
    second_renderer._pool.clear()


def hang(request, progress):
    """A renderer that never comes back, run in a child."""
    time.sleep(600)


@pytest.mark.slow
def test_a_renderer_that_hangs_is_ended_and_the_sentence_has_a_remedy(packed, monkeypatch):
    worker = ConfinedWorker(hang, Limits(1 << 30, 1.0))
    monkeypatch.setattr(surfaces, "_worker", lambda *_: worker)
    job = second_renderer.page_job(packed, SceneLook({}))
    with pytest.raises(SceneError):
        job.future.result(timeout=120)
    assert "PyVista did not draw the scene within" in job.error
    assert "try again" in job.error
    assert "\n" not in job.error
    assert worker.pid is None
    job.forget()


def test_a_page_is_drawn_once_for_a_scene_and_again_for_other_colours(packed, monkeypatch):
    drawn = []
    monkeypatch.setattr(second_renderer, "_drawn", lambda _, look: drawn.append(look) or "page")
    looks = [SceneLook({"C4": color}) for color in ("#FF0000", "#FF0000", "#00FF00")]
    pages = [second_renderer.page_job(packed, look).future.result(timeout=60) for look in looks]
    assert pages == ["page"] * 3
    assert [look["colors"]["C4"] for look in drawn] == ["#FF0000", "#00FF00"]


def test_streamlit_finds_the_component_that_is_mounted_by_name():
    from streamlit.components.v2.manifest_scanner import scan_component_manifests

    found = {manifest.name: manifest for manifest, _ in scan_component_manifests()}
    assert "simple" in {component.name for component in found["stpyvista"].components}
