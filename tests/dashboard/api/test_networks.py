"""Boxes of a result are the rows of `boxes.csv`."""

from __future__ import annotations

import json

import numpy as np

from core.inference.boxes.boxes_csv import boxes_from, read_boxes, write_boxes
from core.inference.outputs import SUMMARY_FILE, write_predictions
from core.models.bundles import read_bundle
from core.models.pairs import choose_pair
from core.types import RawDetections, SlicePredictions
from dashboard.api.networks import Networks, read_result
from dashboard.studies import predictions, raw_boxes
from dashboard.studies.localizer import default_threshold
from dashboard.studies.open_study import open_study
from tests.dashboard.workplace import FRACTURED


def test_boxes_and_verdict_are_those_of_the_files(at_work, repo_root, tmp_path, monkeypatch):
    monkeypatch.setenv("RSNA_CACHE", str(tmp_path / "cache"))
    study = open_study(at_work.var / "demo" / "train_images" / FRACTURED)
    localizer = read_bundle(repo_root / "checkpoints" / "localization_mobilenet_v3_large")
    pair = choose_pair(at_work.checkpoints)
    volume = study.volume
    raw = RawDetections(
        study_id=FRACTURED,
        slice_index=np.repeat(np.arange(2, 9), 2),
        xyxy=np.tile([[9.123, 11, 31.457, 40], [9.5, 11, 31, 40.25]], (7, 1)),
        scores=np.linspace(0.98, 0.93, 14),
        source=np.tile([0, 1], 7),
        n_sources=2,
        z_mm=volume.z_mm,
        models=(localizer.config.name,),
    )
    raw_boxes.keep_raw(raw_boxes.raw_file(study, localizer), raw)
    folder = predictions._predictions_folder(study, pair)
    rng = np.random.default_rng(0)
    scores = SlicePredictions(
        study_id=FRACTURED,
        z_mm=volume.z_mm,
        vertebra_probs=rng.random((volume.n_slices, 7), dtype=np.float32),
        fracture_probs=rng.random((volume.n_slices, 7), dtype=np.float32),
        fracture_type=3,
        instance_numbers=volume.slice_instance_numbers,
        models=("a", "b"),
    )
    write_predictions(folder, [scores], seconds=[1.5], single=True, pair=pair)
    result = read_result(study, Networks(pair, localizer))
    written = json.loads((folder / SUMMARY_FILE).read_text())
    assert json.loads(result.predictions.model_dump_json()) == written
    boxes = boxes_from(raw, volume, default_threshold(localizer))
    write_boxes(tmp_path / "out", {FRACTURED: boxes})
    expected = read_boxes(tmp_path / "out")[FRACTURED]
    assert len(expected) == len(result.boxes) >= 5
    for box, row in zip(result.boxes, expected, strict=True):
        assert (box.slice_number, box.score) == (row.slice_number, row.score)
        x, y, right, bottom = row.xyxy
        np.testing.assert_allclose(
            [box.x, box.y, box.x + box.width, box.y + box.height], [x, y, right, bottom]
        )
