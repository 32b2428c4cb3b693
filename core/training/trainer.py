"""One training run from its config to its bundle."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim import Adam
from torch.optim.lr_scheduler import OneCycleLR

from core.config import RunConfig, Settings
from core.errors import DeviceError, TrainingError
from core.models.bundles import UNSAVED_SHA256, BundleConfig
from core.models.checkpoint import save_bundle
from core.models.registry import build_model
from core.training.batches import Batches
from core.training.cohort import Cohort, load_cohort
from core.training.early_stopping import EarlyStopping
from core.training.engine import evaluate, train_one_epoch
from core.training.losses import LOSSES
from core.training.monitor import Monitor, Progress
from core.training.prior import prior_shift, shift_logit
from core.training.runs import RunFolder
from core.training.state import TrainingState, load_training_state, save_training_state

_ORDER_STREAM: Final = 0
_AUGMENT_STREAM: Final = 1
_log = logging.getLogger("core.training")


def train(
    config: RunConfig,
    run_dir: Path,
    *,
    resume: bool = False,
    progress: Progress | None = None,
    cache_dir: Path | None = None,
) -> Path:
    """Train one model and write its bundle.

    Args:
        config: The run.
        run_dir: Its folder; must not hold a run yet, unless `resume`.
        resume: Go on after the last finished epoch in `run_dir` (from the start where none is).
        progress: Called with (steps done, steps in all).
        cache_dir: Slice store; `RSNA_CACHE` unless given.

    Returns:
        The bundle's folder inside `run_dir`.

    Raises:
        TrainingError: The run cannot start or go on.
        DataRootError: The data root is not in RSNA's layout.
        ConfigError: There is no model of that task and type.
        DeviceError: The device asked for is not there.
        StorageError: `run_dir` or the store cannot be written.
    """
    run = RunFolder(run_dir)
    run.start(config, resume=resume)
    with run.recorded():
        fabric = _start_fabric(config)
        cohort = load_cohort(config, cache_dir or Settings().rsna_cache, run)
        total_steps = config.epochs * len(_epoch_batches(config, cohort, epoch=0))
        state = _initial_state(fabric, config, total_steps)
        if resume and run.checkpoint_file.exists():
            load_training_state(run.checkpoint_file, state)
            _log.info("Resumed after epoch %d, step %d.", state.epoch, state.step)
        run.drop_metrics_after(state.step)
        run.write_status("running", step=state.step, total_steps=total_steps, epoch=state.epoch)
        monitor = Monitor(run, state, total_steps, progress)
        while state.epoch < config.epochs and not state.stopped_early:
            batches = _epoch_batches(config, cohort, state.epoch)
            train_one_epoch(fabric, state, batches, LOSSES[config.task], on_step=monitor)
            state.epoch += 1
            _validate(fabric, state, cohort, config, run)
            save_training_state(run.checkpoint_file, state)
            run.write_status("running", step=state.step, epoch=state.epoch)
        return _write_bundle(run, state, config, cohort)


def _start_fabric(config: RunConfig) -> Fabric:
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(config.device, True):
        raise DeviceError(f"This machine has no {config.device} device; set `device: auto`.")
    torch.manual_seed(config.seed)
    # cuDNN's quickest kernels may differ from run to run; the same seed shall give the same model.
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    return Fabric(accelerator=config.device, devices=1, precision=config.precision)


def _initial_state(fabric: Fabric, config: RunConfig, total_steps: int) -> TrainingState:
    model = build_model(config.task, config.type, config.backbone, pretrained=config.pretrained)
    # Channels last is about twice as fast for convolutions on CPUs and on tensor cores.
    model = model.to(memory_format=torch.channels_last)
    optimizer = Adam(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    # The schedule divides by its phases' lengths, so none may be shorter than a step.
    scheduled = max(total_steps, 4)
    scheduler = OneCycleLR(
        optimizer,
        max_lr=config.learning_rate,
        total_steps=scheduled,
        pct_start=min(max(config.pct_start, 2 / scheduled), 1 - 1 / scheduled),
    )
    stopping = None
    if config.early_stopping:
        stopping = EarlyStopping(
            config.early_stopping_delta, config.early_stopping_patience,
            config.early_stopping_every,
        )  # fmt: skip
    wrapped, wrapped_optimizer = fabric.setup(model, optimizer)
    return TrainingState(wrapped, wrapped_optimizer, scheduler, fabric.strategy.precision, stopping)


def _epoch_batches(config: RunConfig, cohort: Cohort, epoch: int) -> Batches:
    order = cohort.training.training_order(
        seed=(config.seed, epoch, _ORDER_STREAM),
        slices_per_study=config.slices_per_study,
        balanced=config.balanced,
    )
    if len(order) < 2:
        raise TrainingError(
            f"{config.data_root} leaves {len(order)} slices to train on; add studies or raise "
            "`slices_per_study`."
        )
    return Batches(
        cohort.training,
        order,
        config.batch_size,
        augment_seed=(config.seed, epoch, _AUGMENT_STREAM) if config.augment else None,
        drop_last=True,
    )


def _validate(
    fabric: Fabric, state: TrainingState, cohort: Cohort, config: RunConfig, run: RunFolder
) -> None:
    """Measure on the held-out fold, where there is one; keep and record the result."""
    if cohort.validation is None:
        return
    order = cohort.validation.evaluation_order(slices_per_study=config.slices_per_study)
    batches = Batches(cohort.validation, order, config.batch_size)
    result = asdict(evaluate(fabric, state.model, batches, LOSSES[config.task]))
    state.validation = result
    run.append_metrics("validation", step=state.step, epoch=state.epoch, **result)
    _log.info("Epoch %d: validation loss %.4f, AUC %s.", state.epoch, result["loss"], result["auc"])


def _write_bundle(run: RunFolder, state: TrainingState, config: RunConfig, cohort: Cohort) -> Path:
    study_ids = sorted(cohort.training.study_ids)
    trained_on: dict[str, Any] = {
        "synthetic": cohort.synthetic,
        "studies": len(study_ids),
        "slices": len(cohort.training),
        "study_ids_sha256": hashlib.sha256("\n".join(study_ids).encode()).hexdigest(),
        "steps": state.step,
        "run": config.model_dump(mode="json", exclude={"data_root", "device"}),
        "validation": state.validation,
    }
    if config.balanced and cohort.training.targets.shape[1] == 1:
        trained_on["prior_shift_logits"] = prior_shift(cohort.training.targets)
        shift_logit(cast(nn.Sequential, state.model.head), trained_on["prior_shift_logits"])
    description = BundleConfig(
        name=f"{config.task}_type{config.type}_{config.backbone}",
        task=config.task,
        type=config.type,
        backbone=config.backbone,
        size=config.size,
        crop=config.crop,
        window_center=config.window_center,
        window_width=config.window_width,
        weights_sha256=UNSAVED_SHA256,
        parameters=1,
        trained_on=trained_on,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    save_bundle(run.bundle, state.model, description)
    return run.bundle
