"""Predictions of a fracture network on evenly spaced slices of each study."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from core.config import Settings
from core.constants import N_VERTEBRAE
from core.dataset.rsna import read_studies
from core.experiments.cohorts import HELD_OUT
from core.experiments.localizer_scores import stored_predictions
from core.inference.outputs import write_slices
from core.models.bundles import BundleInfo, read_bundle
from core.models.fast_model import load_fast_model
from core.models.pairs import DEFAULT_NAMES
from core.prepared.slice_dataset import SliceDataset
from core.prepared.slices import StudySlices, load_study_slices
from core.types import Progress, SlicePredictions

SLICES_PER_STUDY: Final = 24
"""Of about 85: enough for every level, in a quarter of the time."""


def predict_subsampled(
    bundle: BundleInfo,
    root: Path,
    file: Path,
    settings: Settings,
    progress: Progress | None = None,
) -> None:
    """Run a network over evenly spaced slices of a cohort and write the predictions.

    A network that predicts no presence gets that of the shipped vertebra network.

    Args:
        bundle: A fracture network of any type.
        root: Data root of the cohort.
        file: Output file as from `write_slices`, replaced atomically; slice_index is the position
            among the chosen slices.
        settings: Folders of the slice store and the shipped vertebra network.
        progress: Called with (studies done, total studies).
    """
    shipped: dict[str, SlicePredictions] = {}
    if not bundle.config.gives_presence:
        shipped = stored_predictions(
            read_bundle(settings.checkpoints / DEFAULT_NAMES["vertebra"]), HELD_OUT
        )
    model = load_fast_model(bundle, "cpu")
    records = read_studies(root)
    found: list[SlicePredictions] = []
    for number, record in enumerate(records):
        study = load_study_slices(record, bundle.config.preparation, store=settings.store)
        chosen = subsampled_slices(study.n_slices)
        seen = shipped.get(record.study_id)
        presence = None if seen is None else seen.vertebra_probs[chosen]
        found.append(_predict(model, bundle, study, chosen, presence))
        if progress is not None:
            progress(number + 1, len(records))
    write_slices(file, found)


def subsampled_slices(n_slices: int) -> NDArray[np.int64]:
    """Indices of the slices used: all, or `SLICES_PER_STUDY` evenly spaced ones; int64 (k,)."""
    if n_slices <= SLICES_PER_STUDY:
        return np.arange(n_slices)
    return np.arange(SLICES_PER_STUDY) * n_slices // SLICES_PER_STUDY


def _predict(
    model: torch.nn.Module, bundle: BundleInfo, study: StudySlices, chosen: NDArray[np.int64],
    presence: NDArray[np.float32] | None,
) -> SlicePredictions:  # fmt: skip
    batch = SliceDataset([study], "vertebra").batch(chosen)
    given = None if presence is None else torch.from_numpy(presence)
    with torch.inference_mode():
        out = torch.sigmoid(model(batch.images, batch.metadata, given).float()).numpy()
    fracture = out[:, :N_VERTEBRAE] if out.shape[1] > 1 else np.repeat(out, N_VERTEBRAE, axis=1)
    return SlicePredictions(
        study_id=study.study_id,
        z_mm=study.z_mm[chosen],
        vertebra_probs=out[:, -N_VERTEBRAE:] if presence is None else presence,
        fracture_probs=fracture,
        fracture_type=bundle.config.type,
        models=(bundle.config.name,),
    )
