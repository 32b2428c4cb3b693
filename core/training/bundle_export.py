"""What a finished run leaves: its bundle."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import torch

from core.config import RunConfig
from core.models.bundles import UNSAVED_SHA256, BundleConfig, read_bundle
from core.models.checkpoint import save_bundle
from core.models.slice_model import SliceModel
from core.training.cohort import TrainingCohort
from core.training.losses import loss_for
from core.training.prior_correction import prior_shifts, shift_logits
from core.training.provenance import Provenance
from core.training.state import TrainingState

_PLACES: Final = {"data_root", "device", "vertebra_bundle", "init_from"}
"""Of a config, what says where a run happened rather than what it learnt."""


def write_bundle(
    folder: Path,
    state: TrainingState,
    config: RunConfig,
    cohort: TrainingCohort,
    origin: Provenance,
) -> Path:
    """Write the model as a bundle that says how it was made.

    Where classes were balanced, the logits are shifted back to the cohort's own rates first.

    Returns:
        `folder`.

    Raises:
        StorageError: The folder cannot be written.
    """
    study_ids = sorted(cohort.training.study_ids)
    trained_on: dict[str, Any] = {
        "synthetic": cohort.synthetic,
        "studies": len(study_ids),
        "slices": len(cohort.training),
        "study_ids_sha256": hashlib.sha256("\n".join(study_ids).encode()).hexdigest(),
        "data_fingerprint": origin.data_fingerprint,
        "git_commit": origin.git_commit,
        "packages": origin.packages,
        "steps": state.step,
        "init_from": _name_of(config.init_from),
        "run": config.model_dump(mode="json", exclude=_PLACES),
        "validation": state.validation,
    }
    if config.balanced:
        learnt = cohort.training
        truth = loss_for(config.task, config.type, config.alpha).targets(
            torch.from_numpy(np.array(learnt.presence)),
            torch.from_numpy(np.array(learnt.fractured)),
        )
        shifts = prior_shifts(truth.numpy(), learnt.positive)
        shift_logits(cast(SliceModel, state.model).output_layers, shifts)
        trained_on["prior_shift_logits"] = [round(float(shift), 6) for shift in shifts]
    description = BundleConfig(
        name=f"{config.task}_type{config.type}_{config.backbone}",
        task=config.task,
        type=config.type,
        backbone=config.backbone,
        size=config.size,
        crop=config.crop,
        field_mm=config.field_mm,
        window_center=config.window_center,
        window_width=config.window_width,
        channels=config.channels,
        noise_reduction=config.noise_reduction,
        noise_threshold=config.noise_threshold,
        noise_clusters=config.noise_clusters,
        alpha=config.alpha,
        vertebra_bundle=_name_of(config.vertebra_bundle),
        weights_sha256=UNSAVED_SHA256,
        parameters=1,
        trained_on=trained_on,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    save_bundle(folder, state.model, description)
    return folder


def _name_of(bundle: Path | None) -> str | None:
    """The name in a bundle's config; its folder may be called anything."""
    return None if bundle is None else read_bundle(bundle).config.name
