"""Presence from a vertebra network against presence from a segmenter's labels, on the same studies.

The comparison also shows what a localiser's boxes make of both, whose owners are vertebrae in view.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from core.constants import BOXES_TYPE
from core.dicom.series import read_series
from core.evaluation.intervals import percentiles
from core.experiments.segmentation_measures import MeasuredStudy
from core.inference.aggregation import aggregate
from core.inference.boxes.evidence import box_outputs
from core.inference.boxes.predictor import BoxPredictor
from core.inference.predictor import Predictor
from core.models.pairs import BundlePair
from core.types import FloatArray, Progress, SlicePredictions, StudyRecord

REPLICATES: Final = 1000


@dataclass(frozen=True, slots=True, eq=False)
class ComparedStudy:
    """One study seen by both sources.

    Attributes:
        present: bool (n, 7), true v_ij.
        seen: float32 (2, n, 7), v_ij by the vertebra network and from the labels.
        scores: float64 (2, 7), p_j by boxes whose owners come from each.
        fractured: bool (7,), truth.
    """

    present: NDArray[np.bool_]
    seen: NDArray[np.float32]
    scores: FloatArray
    fractured: NDArray[np.bool_]


def compare_sources(
    pair: BundlePair,
    records: Sequence[StudyRecord],
    labelled: Sequence[MeasuredStudy],
    progress: Progress | None = None,
) -> list[ComparedStudy]:
    """Run a vertebra network and a localiser over studies whose labels are known.

    Args:
        pair: A vertebra network and a localiser with box weights.
        records: The studies, with their truth.
        labelled: What the segmenter makes of the same studies.
        progress: Called with (studies done, total studies).

    Raises:
        CSpineError: A study cannot be read, or a bundle cannot be used.
    """
    weights = pair.fracture.config.box_weights
    assert weights is not None
    network, boxes = Predictor(pair.vertebra, None), BoxPredictor([pair.fracture])
    found: list[ComparedStudy] = []
    for number, (record, study) in enumerate(zip(records, labelled, strict=True), start=1):
        assert record.fractured is not None
        volume = read_series(record.folder)
        seen = np.stack([network.see(volume).presence, study.probs])
        raw = boxes.predict(volume)
        plain = SlicePredictions(
            study_id=raw.study_id,
            z_mm=volume.z_mm,
            vertebra_probs=seen[0],
            fracture_probs=np.zeros_like(seen[0]),
            fracture_type=BOXES_TYPE,
        )
        outputs = [box_outputs(raw, replace(plain, vertebra_probs=one), weights) for one in seen]
        found.append(
            ComparedStudy(
                present=study.present,
                seen=seen,
                scores=np.stack([aggregate(one).vertebra_probs for one in outputs]),
                fractured=np.array(record.fractured, np.bool_),
            )
        )
        if progress is not None:
            progress(number, len(records))
    return found


def source_figures(studies: Sequence[ComparedStudy]) -> Mapping[str, Any]:
    """Pooled AUC of presence and of fractured vertebrae by both sources.

    Args:
        studies: With present and absent, fractured and whole vertebrae.

    Returns:
        "presence_auc" and "vertebra_auc", each [vertebra network, labels]; "presence_gain" and
        "vertebra_gain", the 95 % interval of the difference by a bootstrap over studies.
    """
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(studies), (REPLICATES, len(studies)))
    figures: dict[str, Any] = {"studies": len(studies)}
    for name, areas in (("presence", _presence_areas), ("vertebra", _vertebra_areas)):
        both = areas(studies)
        assert both is not None
        again = (areas([studies[k] for k in rows]) for rows in drawn)
        gains = np.array([high - low for low, high in (one for one in again if one is not None)])
        interval = percentiles(gains)
        assert interval is not None
        figures[f"{name}_auc"] = list(both)
        figures[f"{name}_gain"] = [interval.low, interval.high]
    return figures


def _presence_areas(studies: Sequence[ComparedStudy]) -> tuple[float, float] | None:
    truth = np.concatenate([one.present.ravel() for one in studies])
    return _areas(truth, np.concatenate([one.seen.reshape(2, -1) for one in studies], axis=1))


def _vertebra_areas(studies: Sequence[ComparedStudy]) -> tuple[float, float] | None:
    """Over the vertebrae in view."""
    shown = [one.present.any(axis=0) for one in studies]
    truth = np.concatenate([one.fractured[k] for one, k in zip(studies, shown, strict=True)])
    scores = [one.scores[:, k] for one, k in zip(studies, shown, strict=True)]
    return _areas(truth, np.concatenate(scores, axis=1))


def _areas(truth: NDArray[np.bool_], scores: NDArray[Any]) -> tuple[float, float] | None:
    """AUC by each source; None if the truth has one class."""
    if truth.all() or not truth.any():
        return None
    by_network, by_labels = (float(roc_auc_score(truth, row)) for row in scores)
    return by_network, by_labels
