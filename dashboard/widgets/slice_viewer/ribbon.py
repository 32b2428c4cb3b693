"""Scores of every slice, as the viewer draws them next to the axial picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.constants import VERTEBRAE
from core.inference.study_scores import StudyScores
from core.types import CTVolume
from core.visualization.colors import SUSPICION, VERTEBRA_COLORS


@dataclass(frozen=True, slots=True, eq=False)
class Ribbon:
    """Probabilities along z.

    Attributes:
        slice_probs: float (n_slices,), p_i in [0, 1]; NaN without a probability.
        presence: float (n_slices, 7), v_ij in [0, 1]; None omits the vertebrae.
        threshold: Threshold for p_i, drawn as a line; None omits it.
    """

    slice_probs: NDArray[np.floating[Any]]
    presence: NDArray[np.floating[Any]] | None = None
    threshold: float | None = None

    @classmethod
    def of_scores(cls, scores: StudyScores, threshold: float | None = None) -> Ribbon:
        """The ribbon for the scores of a study."""
        probs = np.where(scores.patient.slice_seen, scores.patient.slice_probs, np.nan)
        return cls(probs, scores.predictions.vertebra_probs, threshold)

    def payload(self, volume: CTVolume) -> dict[str, Any]:
        """Description for the browser.

        Raises:
            ValueError: The arrays do not have one row per slice of `volume`.
        """
        if len(self.slice_probs) != volume.n_slices or (
            self.presence is not None and self.presence.shape != (volume.n_slices, len(VERTEBRAE))
        ):
            raise ValueError(
                f"A ribbon needs one row per slice ({volume.n_slices}), but it has "
                f"{len(self.slice_probs)} slice probabilities."
            )
        presence = None if self.presence is None else np.round(self.presence, 3).T.tolist()
        return {
            "probs": [None if np.isnan(p) else round(float(p), 4) for p in self.slice_probs],
            "presence": presence,
            "threshold": self.threshold,
            "names": list(VERTEBRAE),
            "colors": [VERTEBRA_COLORS[name] for name in VERTEBRAE],
            "suspicion": SUSPICION,
        }
