"""Baselines for the shipped localiser: boxes without training, and gating by slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.dicom.series import read_series
from core.errors import PredictionsError
from core.evaluation.detection.files import BoxTables
from core.evaluation.detection.matching import BoxTable
from core.evaluation.tables.score_files import read_score_table
from core.experiments.cohorts import HELD_OUT
from core.inference.explain import explain_slice
from core.models.bundles import BundleInfo
from core.types import BoxXyxy, Progress, StudyRecord

HOT_SHARE: Final = 0.5
"""Smallest heat of a pixel in the box, as a share of the map's largest."""


def heat_boxes(
    bundle: BundleInfo,
    records: Sequence[StudyRecord],
    cohort: BoxTables,
    progress: Progress | None = None,
) -> BoxTable:
    """The box around the hot part of a heat map, for each slice with a true box.

    The slices are given by the truth, so the table measures location only, not detection.

    Args:
        bundle: A fracture bundle of Type 1, whose output is explained.
        records: The studies of `cohort`, in its order.
        cohort: Cohort whose truth gives the slices.
        progress: Called with (studies done, total studies).
    """
    rows: list[tuple[int, int, BoxXyxy, float]] = []
    for number, record in enumerate(records):
        own = cohort.truth.study == number
        if own.any():
            volume = read_series(record.folder)
            for index in np.unique(cohort.truth.slice_index[own]).tolist():
                found = explain_slice(volume, bundle, index, 0)
                box = box_of_heat(found.heat)
                if box is not None:
                    rows.append((number, index, box, found.prob))
        if progress is not None:
            progress(number + 1, len(records))
    return BoxTable(
        study=np.array([row[0] for row in rows], dtype=np.int64),
        slice_index=np.array([row[1] for row in rows], dtype=np.int64),
        xyxy=np.array([row[2] for row in rows], dtype=np.float64).reshape(-1, 4),
        scores=np.array([row[3] for row in rows], dtype=np.float64),
        track=np.arange(len(rows)),
    )


def box_of_heat(heat: NDArray[np.float32]) -> BoxXyxy | None:
    """The box around the largest connected hot part of a map (as Zhou et al. 2016, "CAM").

    Args:
        heat: float32 (h, w), in [0, 1], such as `Explanation.heat`.

    Returns:
        xyxy in pixel edges; None if the map is empty.
    """
    if not heat.size or not heat.max() > 0:
        return None
    hot = (heat >= HOT_SHARE * heat.max()).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(hot, connectivity=8)
    left, top, width, height, _ = stats[1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())].tolist()
    return float(left), float(top), float(left + width), float(top + height)


def slice_probabilities(bundle: BundleInfo, cohort: BoxTables) -> list[NDArray[np.float64]]:
    """p_i of every study of a cohort, from a fracture bundle's shipped held-out predictions.

    Raises:
        PredictionsError: The bundle has no held-out predictions, or none of a study.
    """
    table = read_score_table(HELD_OUT.predictions_file(bundle.folder))
    place = {str(name): k for k, name in enumerate(table.study_ids)}
    found: list[NDArray[np.float64]] = []
    for study in cohort.raw:
        k = place.get(study.study_id)
        if k is None or table.slice_scores is None:
            raise PredictionsError(
                f"{bundle.folder.name} has no held-out prediction of study {study.study_id}; run "
                "make demo-models."
            )
        found.append(table.slice_scores[table.offsets[k] : table.offsets[k + 1]])
    return found
