"""Raw boxes to fractures: fusion over slices, tracks, files, and the training-free baseline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import PredictionsError
from core.experiments.localizer_baselines import box_of_heat
from core.inference.boxes.boxes_csv import file_boxes, read_boxes, write_boxes
from core.inference.boxes.tracks import FusionSettings, boxes_3d, detect, link_tracks, track_scores
from core.types import CTVolume, FileBox, RawDetections

BOX = np.array([10.0, 10.0, 30.0, 26.0])
PLAIN = FusionSettings(score_rule="average", neighbour_weight=0.0, track_iou=0.0)


def raw(rows, *, slices=10, sources=2):
    """Rows of (slice, shift of BOX to the right, score, source)."""
    values = np.array(rows, dtype=np.float64).reshape(-1, 4)
    xyxy = BOX + values[:, 1:2] * np.array([1, 0, 1, 0])
    return RawDetections(
        "1.2.3", values[:, 0].astype(np.int64), xyxy, values[:, 2],
        values[:, 3].astype(np.int64), sources, np.arange(slices) * -1.0,
    )  # fmt: skip


def test_two_passes_that_agree_make_one_box_with_their_mean_score():
    found = detect(raw([[4, 0, 0.8, 0], [4, 0, 0.6, 1]]), PLAIN)
    np.testing.assert_allclose(found.xyxy, [BOX])
    np.testing.assert_allclose(found.scores, [0.7])
    assert found.slice_index.tolist() == [4]


def test_with_the_maximum_rule_one_pass_keeps_its_score():
    rows = raw([[4, 0, 0.8, 0], [4, 0, 0.6, 1]])
    found = detect(rows, replace(PLAIN, score_rule="maximum"))
    np.testing.assert_allclose(found.xyxy, [BOX])
    np.testing.assert_allclose(found.scores, [0.8])


def test_boxes_on_neighbouring_slices_raise_the_score():
    alone = detect(raw([[4, 0, 0.8, 0]], sources=1), replace(PLAIN, neighbour_weight=0.5))
    three = [[i, 0, 0.8, 0] for i in (3, 4, 5)]
    together = detect(raw(three, sources=1), replace(PLAIN, neighbour_weight=0.5))
    at_four = together.scores[together.slice_index == 4]
    np.testing.assert_allclose(at_four, [0.8])
    np.testing.assert_allclose(alone.scores[alone.slice_index == 4], [0.8 / 2])
    np.testing.assert_allclose(alone.scores[alone.slice_index == 3], [0.8 * 0.5 / 2])


def test_the_first_slice_has_no_neighbour_above():
    found = detect(raw([[0, 0, 0.8, 0]], sources=1), replace(PLAIN, neighbour_weight=0.5))
    assert found.slice_index.tolist() == [0, 1]


def test_tracks_go_on_over_one_empty_slice_and_end_after_two():
    slices = np.array([1, 2, 4, 7])
    found = link_tracks(slices, np.tile(BOX, (4, 1)), np.ones(4), iou=0.3)
    assert found.tolist() == [0, 0, 0, 1]


def test_two_boxes_of_a_slice_never_share_a_track():
    boxes = np.array([BOX, BOX, BOX + 1])
    found = link_tracks(np.array([1, 2, 2]), boxes, np.array([1, 0.5, 0.9]), iou=0.1)
    assert found.tolist() == [0, 1, 0]


def test_a_track_of_one_slice_scores_a_third():
    scores = track_scores(np.array([0, 0, 0, 0, 1]), np.array([0.9, 0.6, 0.3, 0.1, 0.9]))
    np.testing.assert_allclose(scores, [0.6, 0.3])


def test_track_scores_move_the_scores_of_their_boxes():
    rows = [[i, 0, 0.9, 0] for i in (3, 4, 5)] + [[8, 0, 0.9, 0]]
    found = detect(raw(rows, sources=1), replace(PLAIN, track_iou=0.3, track_share=0.5))
    np.testing.assert_allclose(found.scores, [0.9, 0.9, 0.9, 0.45 + 0.15])
    first, second = boxes_3d(found)
    assert (first.first_slice, first.last_slice, first.n_boxes) == (3, 5, 3)
    assert first.xyxy == tuple(BOX)
    assert second.score < first.score


def test_boxes_on_slices_below_the_slice_threshold_are_dropped():
    probs = np.linspace(0, 0.9, 10)
    gated = replace(PLAIN, slice_threshold=0.5)
    rows = raw([[2, 0, 0.9, 0], [8, 0, 0.9, 0]], sources=1)
    assert detect(rows, gated, slice_probs=probs).slice_index.tolist() == [8]
    with pytest.raises(ValueError, match="10 slices need as many"):
        detect(rows, gated, slice_probs=probs[:3])


@pytest.mark.parametrize("method", ["wbf", "nms", "soft-nms", "none"])
def test_a_study_without_boxes_gives_no_detections(method):
    found = detect(raw([]), FusionSettings(method=method))
    assert len(found) == 0
    assert boxes_3d(found) == []


def test_boxes_are_mapped_to_their_files():
    shifted = CTVolume(
        np.zeros((10, 4, 4), np.int16), (1, 1, 1), np.eye(4), -np.arange(10.0),
        tuple(range(101, 111)), tuple(Path(f"IM{k}") for k in range(10)),
        "1.2.3", "1.2.4", shift_px=np.tile([2.0, -3.0], (10, 1)),
    )  # fmt: skip
    rows = raw([[4, 0, 0.8, 0], [4, 0, 0.8, 1]])
    (box,) = file_boxes(detect(rows, PLAIN), shifted)
    assert box.slice_number == 105
    assert box.xyxy == (8.0, 13.0, 28.0, 29.0)


def test_a_written_csv_is_read_unchanged(tmp_path):
    boxes = {"1.2": (FileBox(7, (1.25, 2.5, 11.0, 22.0), 0.75),), "1.3": ()}
    write_boxes(tmp_path, boxes)
    lines = (tmp_path / "boxes.csv").read_text().splitlines()
    assert lines == [
        "StudyInstanceUID,x,y,width,height,slice_number,score", "1.2,1.25,2.50,9.75,19.50,7,0.7500",
    ]  # fmt: skip
    assert read_boxes(tmp_path) == {"1.2": boxes["1.2"]}


def test_broken_tables_are_named(tmp_path):
    with pytest.raises(PredictionsError, match="does not exist"):
        read_boxes(tmp_path)
    (tmp_path / "boxes.csv").write_text("x,y\n1,2\n")
    with pytest.raises(PredictionsError, match=r"no column .* run predict again"):
        read_boxes(tmp_path)
    write_boxes(tmp_path, {"1.2": (FileBox(7, (0, 0, 1, 1), 0.5),)})
    file = tmp_path / "boxes.csv"
    file.write_text(file.read_text().replace("0.5000", ""))
    with pytest.raises(PredictionsError, match="line 2: a value is missing"):
        read_boxes(tmp_path)


def test_the_box_of_a_map_lies_around_its_largest_hot_part():
    heat = np.zeros((40, 50), np.float32)
    heat[10:20, 5:25] = 0.8
    heat[30:32, 40:42] = 1.0
    assert box_of_heat(heat) == (5, 10, 25, 20)
    assert box_of_heat(np.zeros((4, 4), np.float32)) is None
