"""A study that is one enhanced file goes the whole way as its single-frame version does."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.config import SlicePreparation
from core.dataset.index import build_index, verify_index
from core.dataset.rsna import read_data_set
from core.dataset.slice_table import boxes_on_slices, check_boxes, volume_file_numbers
from core.dicom.series import read_series
from core.inference.batch import predict_folder
from core.inference.boxes.boxes_csv import file_boxes
from core.inference.boxes.tracks import Detections
from core.models.pairs import choose_pair
from core.prepared.slices import load_study_slices
from core.prepared.volumes import load_viewer_volume
from core.system.parallel import Workers
from tests.core.dicom.enhanced_factory import write_enhanced_ct
from tests.stores import made_store

HERE = Workers(jobs=1)
FILE = "1.dcm"
"""Named by a number, which is not the number of any of its slices."""


@pytest.fixture(scope="module")
def roots(phantom_root, tmp_path_factory) -> tuple[Path, Path]:
    """A synthetic cohort as it was written, and with each study in one file."""
    enhanced = tmp_path_factory.mktemp("enhanced") / "root"
    for entry in phantom_root.iterdir():
        if entry.is_file():
            enhanced.mkdir(exist_ok=True)
            shutil.copy(entry, enhanced)
    for name in ("segmentations", "phantom_truth"):
        if (phantom_root / name).is_dir():
            shutil.copytree(phantom_root / name, enhanced / name)
    for study in (phantom_root / "train_images").iterdir():
        files = sorted(study.iterdir(), key=lambda file: int(file.stem))
        write_enhanced_ct(files, enhanced / "train_images" / study.name / FILE, syntax="jpeg-ls")
    return phantom_root, enhanced


@pytest.mark.slow
def test_the_scores_are_the_same_to_a_millionth(roots, untrained_bundles, tmp_path):
    tables = []
    for number, root in enumerate(roots):
        out = tmp_path / str(number)
        predict_folder(root, out, choose_pair(untrained_bundles), device="cpu")
        tables.append(pd.read_parquet(out / "slices.parquet"))
    assert len(tables[0]) > 100
    pd.testing.assert_frame_equal(*tables, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_the_index_has_one_row_per_frame_and_places_the_same_boxes(roots, tmp_path):
    placed = []
    for number, root in enumerate(roots):
        index = build_index(root, tmp_path / str(number), workers=HERE)
        assert verify_index(root, tmp_path / str(number), workers=HERE) == []
        assert index.studies["error"].tolist() == [None] * len(index.studies)
        data_set = check_boxes(read_data_set(root), index.slices)
        assert data_set.problems == []
        placed.append((index, boxes_on_slices(data_set, index.slices)))
    (single, boxes), (enhanced, same_boxes) = placed
    assert len(boxes) > 0
    pd.testing.assert_frame_equal(boxes, same_boxes)
    assert len(single.slices) == len(enhanced.slices)
    numbers = single.slices["file"].str.removesuffix(".dcm").astype(int)
    assert enhanced.slices["frame"].tolist() == numbers.tolist()
    assert enhanced.studies["n_files"].tolist() == [1] * len(enhanced.studies)
    assert enhanced.studies["n_slices"].tolist() == single.studies["n_slices"].tolist()
    flags = [name for name in single.studies if name.startswith("flag_") and "compr" not in name]
    pd.testing.assert_frame_equal(single.studies[flags], enhanced.studies[flags])


def test_an_unchanged_file_of_many_frames_is_not_read_again(roots, tmp_path, monkeypatch):
    from core.dataset import index_shards

    first = build_index(roots[1], tmp_path, workers=HERE)
    monkeypatch.setattr(index_shards, "read_file", lambda _: pytest.fail("was read"))
    again = build_index(roots[1], tmp_path, workers=HERE)
    pd.testing.assert_frame_equal(first.slices, again.slices)


def test_box_numbers_slice_store_and_viewer_are_the_same(roots, tmp_path):
    study = next((roots[0] / "train_images").iterdir()).name
    found = []
    for number, root in enumerate(roots):
        record = next(r for r in read_data_set(root).studies if r.study_id == study)
        volume = read_series(record.folder)
        boxes = Detections(
            study, np.array([2, 5]), np.array([[1.0, 2, 3, 4], [5, 6, 7, 8]]),
            np.array([0.5, 0.25]), np.array([0, 1]), volume.n_slices,
        )  # fmt: skip
        store = made_store(tmp_path / str(number))
        viewed = load_viewer_volume(record, store=store)
        kept = load_viewer_volume(record, store=store)
        np.testing.assert_array_equal(viewed.hu, volume.hu)
        assert kept.source_files == volume.source_files
        slices = load_study_slices(record, SlicePreparation(size=32), store=store)
        found.append((volume, volume_file_numbers(kept), file_boxes(boxes, kept), slices))
    (single, numbers, boxes, slices), (enhanced, same_numbers, same_boxes, same_slices) = found
    np.testing.assert_array_equal(numbers, same_numbers)
    assert boxes == same_boxes
    np.testing.assert_array_equal(single.hu, enhanced.hu)
    np.testing.assert_array_equal(slices.images, same_slices.images)
