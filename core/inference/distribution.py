"""How far a study's features are from those of the studies a network was made for.

Mahalanobis distance of class means (Lee et al. 2018, "A simple unified framework for detecting
out-of-distribution samples and adversarial attacks"), with the classes C1..C7 and one covariance
that is shrunk to a few directions and an even rest (probabilistic PCA, Tipping & Bishop 1999).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.model_selection import KFold

from core.constants import N_VERTEBRAE
from core.errors import TrainingError
from core.inference.study_scores import PRESENT
from core.models.abstention import LevelStatistics
from core.types import FloatArray

COMPONENTS: Final = 64
"""Directions with a variance of their own."""
PERCENTILE: Final = 99.0
"""Of the reference studies that the distribution score 1 stands for."""
_FOLDS: Final = 5
_LEAST_VARIANCE: Final = 1e-10
"""Of the mean square of the features."""


@dataclass(frozen=True, slots=True, eq=False)
class LevelFeatures:
    """Mean features of each level of one study.

    Attributes:
        means: float64 (7, features); 0 for a level that is not seen.
        slices: int64 (7,), slices that show each level.
    """

    means: FloatArray
    slices: NDArray[np.int64]


def level_features(features: NDArray[np.float32], presence: NDArray[np.float32]) -> LevelFeatures:
    """Average the features of a study's slices level by level.

    Slices without a cervical vertebra do not count: a scan may begin and end anywhere.

    Args:
        features: float32 (n_slices, features), pooled features of the network.
        presence: float32 (n_slices, 7), v_ij; a level is seen on a slice from 0.5 upwards.
    """
    seen = (presence >= PRESENT).astype(np.float64)
    slices = seen.sum(axis=0)
    sums = seen.T @ features.astype(np.float64)
    means = np.divide(sums, slices[:, None], out=np.zeros_like(sums), where=slices[:, None] > 0)
    return LevelFeatures(means, slices.astype(np.int64))


def study_distance(study: LevelFeatures, statistics: LevelStatistics) -> float | None:
    """Root mean square Mahalanobis distance of a study's levels, per feature.

    A level weighs as many times as slices show it.

    Returns:
        About 1 for a study like those of the fit; None if no level is seen.
    """
    total = int(study.slices.sum())
    if total == 0:
        return None
    seen = study.slices > 0
    off = study.means[seen] - statistics.means[seen]
    components = statistics.components.astype(np.float64)
    along = off @ components.T
    # As a vector: the difference of the two squared lengths would be lost in rounded components.
    rest = off - along @ components
    squared = (along**2 / statistics.variances).sum(axis=1)
    squared += (rest**2).sum(axis=1) / statistics.rest
    mean = float(squared @ study.slices[seen]) / total
    return math.sqrt(mean / off.shape[1])


def fit_statistics(studies: Sequence[LevelFeatures]) -> LevelStatistics:
    """Fit the means of the levels and the covariance of studies around them.

    Args:
        studies: At least three, in which every level is seen somewhere.

    Raises:
        TrainingError: There are fewer studies, they are all alike, or one level is never seen.
    """
    weights = np.stack([study.slices > 0 for study in studies]).astype(np.float64)
    counts = weights.sum(axis=0) if len(studies) else np.zeros(N_VERTEBRAE)
    if len(studies) < 3 or not counts.all():
        raise TrainingError(
            f"A distribution reference needs several studies that together show C1 to C7, but "
            f"{len(studies)} are given; give more."
        )
    stacked = np.stack([study.means for study in studies])
    means = (stacked * weights[:, :, None]).sum(axis=0) / counts[:, None]
    off = (stacked - means)[weights > 0]
    kept = min(COMPONENTS, len(off) // 2, off.shape[1] - 1)
    found = PCA(n_components=kept, svd_solver="full").fit(off)
    # Rounding leaves a trace of variance between studies that are all alike.
    if not found.noise_variance_ > _LEAST_VARIANCE * float((means**2).mean()):
        raise TrainingError(
            "The reference studies do not differ from each other, so no distance can be measured "
            "against them; give other studies."
        )
    return LevelStatistics(
        means=means.astype(np.float32),
        components=np.asarray(found.components_, np.float32),
        variances=np.asarray(found.explained_variance_, np.float32),
        rest=float(found.noise_variance_),
    )


def held_back_distances(studies: Sequence[LevelFeatures], *, seed: int = 0) -> FloatArray:
    """Distance of each study from the statistics of four fifths that do not contain it.

    Args:
        studies: Reference studies.
        seed: Of the split.

    Raises:
        TrainingError: There are too few studies to hold some back, or one shows no level.
    """
    if len(studies) < 2 * _FOLDS:
        raise TrainingError(
            f"A distribution reference needs at least {2 * _FOLDS} studies, but {len(studies)} "
            "are given; give more."
        )
    found = np.empty(len(studies))
    split = KFold(_FOLDS, shuffle=True, random_state=seed)
    for fitted, held_back in split.split(np.arange(len(studies))):
        statistics = fit_statistics([studies[k] for k in fitted])
        for k in held_back:
            distance = study_distance(studies[k], statistics)
            if distance is None:
                raise TrainingError("A reference study shows no level; leave it out.")
            found[k] = distance
    return found


def limit_of(distances: FloatArray, percentile: float = PERCENTILE) -> float:
    """The distance that a further study exceeds with at most the remaining probability.

    The ceil((n + 1) q)-th smallest of n distances, the largest where n is too small.
    """
    ordered = np.sort(distances)
    place = math.ceil((len(ordered) + 1) * percentile / 100)
    return float(ordered[min(place, len(ordered)) - 1])
