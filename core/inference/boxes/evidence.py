"""Fracture probabilities from a localiser's boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.metrics import log_loss

from core.constants import BOXES_TYPE, N_VERTEBRAE
from core.errors import TrainingError
from core.inference.boxes.tracks import Detections, FusionSettings, detect, track_scores
from core.inference.context import SEEN, log_odds, rising_fit
from core.models.bundles import BoxWeights
from core.types import FloatArray, RawDetections, SlicePredictions

NO_BOX: Final = 1e-3
"""Score of a slice or vertebra without any box: above 0, as a fracture may have been missed."""
POWERS: Final = (1.0, 2.0, 4.0, 8.0)
"""Candidates for the powers of the weights."""


@dataclass(frozen=True, slots=True, eq=False)
class BoxEvidence:
    """A study's box scores by slice and track, before they are weighted.

    Attributes:
        slices: float64 (n,), score of each slice's best box; `NO_BOX` where there is none.
        tracks: float64 (t,), scores of the tracks, as in `boxes_3d`.
        owners: float64 (t, 7), how far each track belongs to each vertebra.
    """

    slices: FloatArray
    tracks: FloatArray
    owners: FloatArray


def gather_evidence(
    raw: RawDetections, presence: NDArray[np.float32], settings: FusionSettings | None = None
) -> BoxEvidence:
    """Fuse a study's boxes and assign their tracks to vertebrae.

    Args:
        raw: Raw boxes from `BoxPredictor`.
        presence: float32 (n, 7), v_ij of the same study.
        settings: Settings of the fusion; None for the defaults.
    """
    found = detect(raw, settings or FusionSettings())
    slices = np.full(raw.n_slices, NO_BOX)
    np.maximum.at(slices, found.slice_index, found.scores)
    return BoxEvidence(
        slices, track_scores(found.track, found.scores), track_owners(found, presence)
    )


def track_owners(found: Detections, presence: NDArray[np.float32]) -> FloatArray:
    """How far each track belongs to each vertebra.

    A box names no vertebra. Several are in view on the slices of its track; the one in view on most
    of them is the likeliest owner.

    Args:
        found: Fused boxes of one study.
        presence: float32 (n, 7), v_ij.

    Returns:
        float64 (t, 7), o_tj: the sum of v_ij over the slices of the track's boxes, divided by the
        largest of the seven; 0 where no vertebra is in view.
    """
    n_tracks = int(found.track.max(initial=-1)) + 1
    seen = np.zeros((n_tracks, N_VERTEBRAE))
    np.add.at(seen, found.track, presence[found.slice_index].astype(np.float64))
    most = seen.max(axis=1, keepdims=True)
    return np.divide(seen, most, out=np.zeros_like(seen), where=most > 0)


def vertebra_evidence(
    evidence: BoxEvidence, *, owner_power: float, score_power: float
) -> FloatArray:
    """Combine the scores of all tracks for each vertebra.

    With s_t the score of a track and o_tj from `track_owners`, a noisy or: one certain track is
    enough, and several uncertain ones add up::

        e_j = 1 - prod_t (1 - s_t ** score_power * o_tj ** owner_power)

    Returns:
        float64 (7,), within `NO_BOX` of 0 and 1.
    """
    each = evidence.tracks[:, np.newaxis] ** score_power * evidence.owners**owner_power
    return np.clip(1.0 - np.prod(1.0 - each, axis=0), NO_BOX, 1.0 - NO_BOX)


def box_outputs(
    raw: RawDetections,
    seen: SlicePredictions,
    weights: BoxWeights,
    settings: FusionSettings | None = None,
) -> SlicePredictions:
    """Turn boxes into f_ij, given the presence from a vertebra model.

    With l_i the log odds of the slice's best box and e_j from `vertebra_evidence`::

        f_ij = sigmoid(intercept + local * l_i + vertebra * log odds of e_j)

    Args:
        raw: Raw boxes from `BoxPredictor`.
        seen: Predictions of the same study, whose presence and positions are used.
        weights: Box weights of the localiser's bundle.
        settings: Settings of the fusion; None for the defaults.

    Returns:
        Outputs of type `BOXES_TYPE`.

    Raises:
        ValueError: `raw` and `seen` are not of the same study.
    """
    if raw.study_id != seen.study_id or raw.n_slices != seen.n_slices:
        raise ValueError(
            f"Boxes of study {raw.study_id} with {raw.n_slices} slices do not fit predictions "
            f"of {seen.study_id} with {seen.n_slices}."
        )
    evidence = gather_evidence(raw, seen.vertebra_probs, settings)
    whole = vertebra_evidence(
        evidence, owner_power=weights.owner_power, score_power=weights.score_power
    )
    logits = (
        weights.intercept
        + weights.local * log_odds(evidence.slices)[:, np.newaxis]
        + weights.vertebra * log_odds(whole)
    )
    return replace(
        seen,
        fracture_probs=expit(logits).astype(np.float32),
        fracture_type=BOXES_TYPE,
        models=(*seen.models[:1], *raw.models),
    )


def fit_box_weights(
    studies: Sequence[tuple[BoxEvidence, NDArray[np.float32], NDArray[np.bool_]]],
    *,
    owners: Sequence[float] = POWERS,
) -> BoxWeights:
    """Fit the weights of a localiser's boxes to the slices in which a vertebra is seen.

    Logistic regression for each pair of powers; the fit with the lowest log loss is taken. Fit on
    studies that the networks were not trained on. As in `fit_context`, no slope may be negative.

    Args:
        studies: Evidence, v_ij float32 (n, 7) and y_ij bool (n, 7) of each study.
        owners: Owner powers to choose from; score powers are always those of `POWERS`.

    Raises:
        TrainingError: All rows are of one class.
    """
    seen = [presence >= SEEN for _, presence, _ in studies]
    y = np.concatenate(
        [t[s] for (_, _, t), s in zip(studies, seen, strict=True)] or [np.zeros(0, np.bool_)]
    )
    local = rows_seen([log_odds(e.slices)[:, np.newaxis] for e, _, _ in studies], seen)

    def whole(owner: float, score: float) -> FloatArray:
        each = [
            log_odds(vertebra_evidence(e, owner_power=owner, score_power=score))
            for e, _, _ in studies
        ]
        return rows_seen(each, seen)

    return best_weights(y, local, whole, product(owners, POWERS))


def best_weights(
    y: NDArray[np.bool_],
    local: FloatArray,
    whole: Callable[[float, float], FloatArray],
    powers: Iterable[tuple[float, float]],
) -> BoxWeights:
    """Fit a logistic regression for each pair of powers; the lowest log loss wins.

    Args:
        y: bool (k,), truth.
        local: float64 (k,), log odds of the slice.
        whole: Returns the log odds of the vertebra, float64 (k,), for an owner and a score power.
        powers: Pairs of owner and score powers.

    Raises:
        TrainingError: All rows are of one class.
    """
    if not len(y) or y.all() or not y.any():
        raise TrainingError(
            "Weights of evidence cannot be fitted to slices of one class; give studies with and "
            "without fractures."
        )
    found: list[tuple[float, BoxWeights]] = []
    for owner, score in powers:
        x = np.stack([local, whole(owner, score)], axis=1)
        slopes, intercept = rising_fit(x, y)
        weights = BoxWeights(
            owner_power=owner,
            score_power=score,
            local=round(float(slopes[0]), 6),
            vertebra=round(float(slopes[1]), 6),
            intercept=round(intercept, 6),
        )
        found.append((float(log_loss(y, expit(x @ slopes + intercept))), weights))
    return min(found, key=lambda each: each[0])[1]


def rows_seen(values: Sequence[FloatArray], seen: Sequence[NDArray[np.bool_]]) -> FloatArray:
    """Values of all studies, broadcast to (n, 7), where a vertebra is seen."""
    rows = [
        np.broadcast_to(value, kept.shape)[kept] for value, kept in zip(values, seen, strict=True)
    ]
    return np.concatenate(rows or [np.zeros(0)])
