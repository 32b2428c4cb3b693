"""How well a segmenter does on studies whose masks are known."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from core.constants import N_VERTEBRAE, VERTEBRAE
from core.dataset.masks import load_vertebra_mask, presence_from_mask
from core.dicom.series import read_series
from core.evaluation.intervals import percentiles
from core.inference.segmentation import SegmentationPredictor
from core.preprocessing.label_overlap import LabelOverlap, overlap_of
from core.preprocessing.spine_grid import OTHER_VERTEBRA
from core.types import CTVolume, FloatArray, Progress, StudyRecord

REPLICATES: Final = 2000
_CLASS_NAMES: Final = (*VERTEBRAE, "other")


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredStudy:
    """Result on one study.

    Attributes:
        overlap: Of the labels on the series' own voxels.
        on_grid: Of the labels on the grid.
        probs: float32 (n_slices, 7), v_ij from the labels.
        present: bool (n_slices, 7), v_ij of the mask.
        slices: Number of slices.
        seconds: Time to segment it and to label every slice, without reading it.
    """

    overlap: LabelOverlap
    on_grid: LabelOverlap
    probs: NDArray[np.float32]
    present: NDArray[np.bool_]
    slices: int
    seconds: float


def measure_studies(
    predictor: SegmentationPredictor,
    records: Sequence[StudyRecord],
    progress: Progress | None = None,
) -> list[MeasuredStudy]:
    """Segment studies with masks.

    Args:
        predictor: The segmenter.
        records: Studies, each with a mask.
        progress: Called with (studies done, total studies).

    Raises:
        CSpineError: A study or a mask cannot be read.
    """
    found: list[MeasuredStudy] = []
    for number, record in enumerate(records, start=1):
        assert record.mask_file is not None
        found.append(_measured(predictor, read_series(record.folder), record.mask_file))
        if progress is not None:
            progress(number, len(records))
    return found


def _measured(predictor: SegmentationPredictor, volume: CTVolume, mask_file: Path) -> MeasuredStudy:
    started = time.perf_counter()
    segmented = predictor.segment(volume)
    labels = segmented.volume_labels()
    seconds = time.perf_counter() - started
    mask = load_vertebra_mask(mask_file, volume)
    truth = np.minimum(mask, OTHER_VERTEBRA)
    on_grid = segmented.grid.labels_from_slices(mask)
    return MeasuredStudy(
        overlap=overlap_of(labels, truth, float(np.prod(volume.spacing_mm))),
        on_grid=overlap_of(segmented.grid_labels, on_grid, segmented.grid.step_mm**3),
        probs=segmented.presence(),
        present=presence_from_mask(mask),
        slices=volume.n_slices,
        seconds=seconds,
    )


def summary_of(studies: Sequence[MeasuredStudy]) -> dict[str, Any]:
    """Figures of a cohort, with 95 % intervals by a bootstrap over studies.

    Args:
        studies: At least one.

    Returns:
        "dice": mean over the studies of the mean Dice coefficient of C1..C7 on the series' voxels;
        "grid_dice": the same on the grid; "right_level": share of true C1..C7 whose voxels mostly
        have the right label; "all_right": share of studies in which all have; each with
        "..._interval". "dice_by_class" and "presence_auc" by name; "seconds_per_100_slices".
    """
    by_class = np.stack([study.overlap.dice for study in studies])
    right = np.array([study.overlap.right[:N_VERTEBRAE].sum() for study in studies], np.float64)
    seen = np.array([study.overlap.seen[:N_VERTEBRAE].sum() for study in studies], np.float64)
    shown, ones = seen > 0, np.ones(int((seen > 0).sum()))
    dice = np.nansum(by_class[shown, :N_VERTEBRAE], axis=1) / seen[shown]
    on_grid = np.array(
        [np.nanmean(s.on_grid.dice[:N_VERTEBRAE]) if s.on_grid.seen[:N_VERTEBRAE].any() else np.nan
         for s in studies]
    )  # fmt: skip
    known = ~np.isnan(on_grid)
    every = (right == seen)[shown].astype(np.float64)
    return {
        "studies": len(studies),
        "vertebrae": int(seen.sum()),
        **_with_interval("dice", dice, ones),
        **_with_interval("grid_dice", on_grid[known], np.ones(int(known.sum()))),
        **_with_interval("right_level", right[shown], seen[shown]),
        **_with_interval("all_right", every, ones),
        "dice_by_class": {
            name: None if np.isnan(by_class[:, k]).all() else float(np.nanmean(by_class[:, k]))
            for k, name in enumerate(_CLASS_NAMES)
        },
        "presence_auc": _presence_auc(studies),
        "seconds_per_100_slices": 100.0
        * sum(study.seconds for study in studies)
        / sum(study.slices for study in studies),
    }


def _with_interval(name: str, sums: FloatArray, counts: FloatArray) -> dict[str, Any]:
    """The ratio of two sums over studies, and its interval."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(sums), (REPLICATES, len(sums)))
    interval = percentiles(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
    assert interval is not None
    return {
        name: float(sums.sum() / counts.sum()),
        f"{name}_interval": [interval.low, interval.high],
    }


def _presence_auc(studies: Sequence[MeasuredStudy]) -> Mapping[str, float]:
    """AUC of v_ij by level and over all of them."""
    probs = np.concatenate([study.probs for study in studies])
    present = np.concatenate([study.present for study in studies])
    found = {
        name: float(roc_auc_score(present[:, j], probs[:, j]))
        for j, name in enumerate(VERTEBRAE)
        if present[:, j].any() and not present[:, j].all()
    }
    return found | {"pooled": float(roc_auc_score(present.ravel(), probs.ravel()))}
