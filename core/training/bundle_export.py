"""Export of a finished run as a bundle."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from core.annotations.corrections import annotations_sha256
from core.config import RunConfig
from core.models.bundles import METRICS_FILE, UNSAVED_SHA256, BundleConfig, read_bundle
from core.models.checkpoint import save_bundle
from core.system.atomic_files import write_json
from core.training.provenance import Provenance
from core.training.state import TrainingState
from core.training.task import TrainingTask

_PLACES: Final = {"data_root", "annotations", "device", "vertebra_bundle", "init_from"}
"""Config fields about where a run happened, which the bundle leaves out."""


def write_bundle(
    folder: Path, state: TrainingState, task: TrainingTask[Any, Any], origin: Provenance
) -> None:
    """Write the model as a bundle with a description of how it was made.

    The weights are those of the best epoch where one was kept, else the last ones; `metrics.json`
    names the epoch with its measures on the held-out fold.

    Raises:
        StorageError: The folder cannot be written.
    """
    config, cohort, network = task.config, task.cohort, state.scored
    epoch, validation = state.epoch, state.validation
    if state.best is not None:
        epoch, validation = state.best.epoch, state.best.validation
        network.load_state_dict(state.best.weights)
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
        **_corrections(config),
        "epoch": epoch,
        "validation": validation,
        **task.finish(network),
    }
    description = BundleConfig(
        task=config.task,
        type=config.type,
        backbone=config.backbone,
        head=config.head,
        **task.bundle_fields(),
        weights_sha256=UNSAVED_SHA256,
        parameters=1,
        trained_on=trained_on,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    save_bundle(folder, network, description)
    if validation is not None:
        write_json(folder / METRICS_FILE, {"epoch": epoch, "validation": validation})


def bundle_name(bundle: Path | None) -> str | None:
    """The name in a bundle's config, which may differ from its folder's."""
    return None if bundle is None else read_bundle(bundle).config.name


def _corrections(config: RunConfig) -> dict[str, str]:
    """What the run's annotations held, if it used any."""
    if config.annotations is None:
        return {}
    return {"annotations_sha256": annotations_sha256(config.annotations)}
