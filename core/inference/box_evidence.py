"""A localiser's boxes as fracture probabilities, so that it can be judged like any other model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core.constants import BOXES_TYPE, N_VERTEBRAE
from core.inference.box_tracks import FusionSettings, detect
from core.inference.context import in_context
from core.models.bundles import VertebraContext
from core.types import RawDetections, SlicePredictions

NO_BOX = 1e-3
"""Score of a slice without any box: nothing found is not the same as nothing there."""


def slice_box_scores(raw: RawDetections, settings: FusionSettings) -> NDArray[np.float32]:
    """The best box of each slice, float32 (n_slices,); `NO_BOX` where there is none."""
    found = detect(raw, settings)
    scores = np.full(raw.n_slices, NO_BOX)
    np.maximum.at(scores, found.slice_index, found.scores)
    return scores.astype(np.float32)


def box_outputs(
    raw: RawDetections, seen: SlicePredictions, settings: FusionSettings | None = None
) -> SlicePredictions:
    """Turn boxes into one f_i a slice, beside the presence that a vertebra model gave.

    A box names no vertebra: f_ij = f_i for all j, and v_ij says whose it is.

    Args:
        raw: From `BoxPredictor`.
        seen: Of the same study; its presence and places are taken over.
        settings: Of the fusion; the defaults unless given.

    Returns:
        Outputs of type `BOXES_TYPE`.

    Raises:
        ValueError: The two are not of one study.
    """
    if raw.study_id != seen.study_id or raw.n_slices != seen.n_slices:
        raise ValueError(
            f"Boxes of study {raw.study_id} with {raw.n_slices} slices do not go with predictions "
            f"of {seen.study_id} with {seen.n_slices}."
        )
    scores = slice_box_scores(raw, settings or FusionSettings())
    return replace(
        seen,
        fracture_probs=np.repeat(scores[:, np.newaxis], N_VERTEBRAE, axis=1),
        fracture_type=BOXES_TYPE,
        models=(*seen.models[:1], *raw.models),
    )


def with_context(outputs: SlicePredictions, context: VertebraContext) -> SlicePredictions:
    """The same outputs, each slice seen together with the whole vertebra."""
    fracture = in_context(outputs.fracture_probs, outputs.vertebra_probs, context, shared=False)
    return replace(outputs, fracture_probs=fracture)
