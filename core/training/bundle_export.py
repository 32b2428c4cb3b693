"""Export of a finished run as a bundle."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from core.models.bundles import UNSAVED_SHA256, BundleConfig, read_bundle
from core.models.checkpoint import save_bundle
from core.training.provenance import Provenance
from core.training.state import TrainingState
from core.training.task import TrainingTask

_PLACES: Final = {"data_root", "device", "vertebra_bundle", "init_from"}
"""Config fields about where a run happened, which the bundle leaves out."""


def write_bundle(
    folder: Path, state: TrainingState, task: TrainingTask[Any, Any], origin: Provenance
) -> None:
    """Write the model as a bundle with a description of how it was made.

    Raises:
        StorageError: The folder cannot be written.
    """
    config, cohort = task.config, task.cohort
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
        "init_from": bundle_name(config.init_from),
        "run": config.model_dump(mode="json", exclude=_PLACES),
        "validation": state.validation,
        **task.finish(state.model),
    }
    description = BundleConfig(
        task=config.task,
        type=config.type,
        backbone=config.backbone,
        **task.bundle_fields(),
        weights_sha256=UNSAVED_SHA256,
        parameters=1,
        trained_on=trained_on,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    save_bundle(folder, state.model, description)


def bundle_name(bundle: Path | None) -> str | None:
    """The name in a bundle's config, which may differ from its folder's."""
    return None if bundle is None else read_bundle(bundle).config.name
