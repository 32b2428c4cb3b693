"""One training run of any task, from its config to its bundle."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import torch
from lightning_fabric import Fabric

from core.config import RunConfig
from core.constants import TaskName
from core.errors import ConfigError, TrainingError
from core.models.backbone_table import check_batch, check_input_size
from core.system.atomic_files import write_json
from core.training.batches import Batches
from core.training.box_task import BoxTask
from core.training.bundle_export import write_bundle
from core.training.distributed import (
    Processes,
    agree,
    chosen_precision,
    processes_of_torchrun,
    share_buffers,
    start_fabric,
)
from core.training.epoch_scores import SCORES_KEY
from core.training.grid_task import GridTask
from core.training.job_setup import initial_state, shared_batches, train_batches
from core.training.monitor import Monitor
from core.training.provenance import Provenance, provenance
from core.training.resources import sampled
from core.training.runs import FollowerRun, RunFolder
from core.training.slice_task import SliceTask
from core.training.start_up import load_together
from core.training.state import (
    TrainingState,
    load_generators,
    load_training_state,
    save_generators,
    save_training_state,
)
from core.training.task import TrainingTask
from core.training.tensorboard_log import CurvesLog, open_curves
from core.types import Progress, Store

OnEvaluation = Callable[[int, dict[str, Any]], bool]

TRAINING_TASKS: Final[dict[TaskName, type[TrainingTask[Any, Any]]]] = {
    "vertebra": SliceTask,
    "fracture": SliceTask,
    "localization": BoxTask,
    "segmentation": GridTask,
}
"""Training task class by task name."""
PROVENANCE_FILE: Final = "provenance.json"
_log = logging.getLogger("core.training")


def train(
    config: RunConfig,
    run_dir: Path,
    *,
    store: Store,
    resume: bool = False,
    progress: Progress | None = None,
    on_evaluation: OnEvaluation | None = None,
) -> Path:
    """Train one model and write its bundle.

    If started by `torchrun`, all processes train it together, on one machine or several that share
    `run_dir`; rank 0 writes. The result equals that of one process, except for rounding, dropout
    and batch norm's statistics (which GPUs share and CPUs do not).

    Args:
        config: Config of the run; its `fold` is a number or None.
        run_dir: Folder of the run; must not hold a run yet, unless `resume`.
        resume: Continue from the last checkpoint in `run_dir` (from the start if there is none), to
            the same weights as without the interruption.
        progress: Called with (steps done, total steps).
        store: Store of prepared slices.
        on_evaluation: Called with the epochs finished and the measures on the held-out fold;
            returning True ends the run.

    Returns:
        The bundle's folder inside `run_dir`.

    Raises:
        TrainingError: The run cannot be started or continued.
        DataRootError: The data root is not in RSNA's layout.
        ConfigError: There is no such model, or `fold` is "all".
        BundleError: `init_from` or `vertebra_bundle` cannot be used.
        DeviceError: The device is not available.
        StorageError: `run_dir` or the store cannot be written.
    """
    if config.fold == "all":
        raise ConfigError("One run holds out one fold; train all folds with `train --fold all`.")
    processes = processes_of_torchrun()
    config = config.model_copy(update={"precision": chosen_precision(config)})
    check_sizes(config, processes)
    run = RunFolder(run_dir) if processes.is_first else FollowerRun(run_dir)
    run.start(config, resume=resume)
    with run.recorded():
        fabric = start_fabric(config, processes)
        task = load_together(TRAINING_TASKS[config.task], config, store, run, fabric, processes)
        origin = provenance(task.cohort.fingerprint)
        if processes.is_first:
            write_json(run.folder / PROVENANCE_FILE, asdict(origin))
        job = _Job(task, run, processes, fabric, origin, on_evaluation)
        return job.carry_out(progress, resume=resume)


def check_sizes(config: RunConfig, processes: Processes) -> None:
    """Refuse sizes that would fail at the first batch, after the data were prepared for hours.

    Raises:
        ConfigError: The backbone does not take this input or this batch.
    """
    if config.facts.gives == "labels":
        return  # Grids of any size are filled up, and instance norm takes them one by one.
    size = config.preparation.size
    check_input_size(config.backbone, size)
    smallest = config.batch_size // (processes.world * config.accumulate)
    check_batch(config.backbone, size, max(smallest, 1))


def _check_measures(measures: Mapping[str, Any], epoch: int) -> None:
    """Refuse measures of a network whose outputs are no numbers, although its loss was one."""
    values = [*measures.values()]
    while values:
        value = values.pop()
        if isinstance(value, Mapping):
            values += cast(Mapping[str, Any], value).values()
        elif isinstance(value, float) and not math.isfinite(value):
            raise TrainingError(
                f"The network's outputs on the held-out slices after epoch {epoch} are not finite "
                "numbers; lower `max_lr`, or set `precision: 32-true`."
            )


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A run whose data and devices are ready."""

    task: TrainingTask[Any, Any]
    run: RunFolder
    processes: Processes
    fabric: Fabric
    origin: Provenance
    on_evaluation: OnEvaluation | None

    def carry_out(self, progress: Progress | None, *, resume: bool) -> Path:
        """Train from the last checkpoint, or the start, to the bundle."""
        run, config, first = self.run, self.task.config, self.processes.is_first
        total_steps = config.epochs * self._epoch_batches(0).total
        state = initial_state(self.task, self.fabric, self.processes, total_steps)
        if resume and run.checkpoint_file.exists():
            self._load(state)
        run.drop_metrics_after(state.step, state.epoch)
        run.write_status("running", step=state.step, total_steps=total_steps, epoch=state.epoch)
        with open_curves(run, state.step) as curves, sampled(run, self._gpu):
            monitor = Monitor(
                run if first else None,
                state,
                total_steps,
                progress=progress if first else None,
                curves=curves,
                checkpoint=partial(self._save, state),
                checkpoint_every_s=config.checkpoint_every_s,
                agree=partial(agree, self.fabric, self.processes),
                stops=lambda: run.stops.asked,
            )
            while not state.finished:
                self._epoch(state, monitor, curves)
                self._save(state)
                run.write_status("running", step=state.step, epoch=state.epoch)
        if first:
            run.check_held()
            write_bundle(run.bundle, state, self.task, self.origin)
        return run.bundle

    def _epoch(self, state: TrainingState, monitor: Monitor, curves: CurvesLog | None) -> None:
        """Train the rest of the epoch, then measure."""
        if not state.stopped_early:
            batches = self._epoch_batches(state.epoch, first=state.batch)
            # With several processes a signal reaches all of them, so none may wait for a step.
            alone = self.processes.world == 1
            with self.run.stops.deferred() if alone else contextlib.nullcontext():
                train_batches(self.task, self.fabric, state, batches, monitor)
        monitor.end_epoch()
        ended = self._validate(state, curves)
        state.finished = ended or state.stopped_early or state.epoch >= self.task.config.epochs

    def _validate(self, state: TrainingState, curves: CurvesLog | None) -> bool:
        """Measure on the held-out fold, if there is one; return whether that ends the run."""
        held_out = self.task.cohort.validation
        if held_out is None:
            return False
        batches = self._shared(self.task.validation_batches(held_out))
        beat = partial(self.run.beat, step=state.step, epoch=state.epoch)
        share_buffers(self.fabric, state.scored)
        measures = self.task.measure(self.fabric, state.scored, batches, beat)
        result = asdict(measures)
        _check_measures(result, state.epoch)
        # Of use in the epochs' own lines only.
        scores = {SCORES_KEY: result.pop(SCORES_KEY)} if SCORES_KEY in result else {}
        state.validation = result
        if self.task.config.keep_epoch == "best":
            state.keep_if_best(measures.deficit)
        self.run.append_metrics(
            "validation", step=state.step, epoch=state.epoch, deficit=measures.deficit, **result,
            **scores,
        )  # fmt: skip
        if curves is not None:
            shown = {f"validation__{name}": value for name, value in measures.curves.items()}
            curves.write(state.step, **shown)
        _log.info("Epoch %d: %s.", state.epoch, measures)
        asked = self.on_evaluation is not None and self.on_evaluation(state.epoch, result)
        stopping = state.stopping
        if stopping is not None and stopping.watches == "validation":
            asked = stopping.should_stop(measures.deficit) or asked
        return agree(self.fabric, self.processes, asked)

    def _epoch_batches(self, epoch: int, *, first: int = 0) -> Batches[Any]:
        batches = self.task.training_batches(epoch)
        config, world = self.task.config, self.processes.world
        if len(batches.order) < 2 * world:
            raise TrainingError(
                f"{config.data_root} leaves {len(batches.order)} slices to train on; add studies "
                "or raise `slices_per_study`."
            )
        if config.batch_size < world:
            raise TrainingError(
                f"A batch of {config.batch_size} cannot be shared by {world} processes; raise "
                "`batch_size`."
            )
        return self._shared(batches, first=first)

    def _shared(self, batches: Batches[Any], *, first: int = 0) -> Batches[Any]:
        """This process's share of the batches from `first` on."""
        return shared_batches(batches, self.task.config, self.fabric, self.processes, first=first)

    def _save(self, state: TrainingState) -> None:
        if self.processes.is_first:
            self.run.check_held()
            save_training_state(self.run.checkpoint_file, state)
        else:
            save_generators(self._generators_file, state.step)

    def _load(self, state: TrainingState) -> None:
        load_training_state(self.run.checkpoint_file, state)
        known = self.processes.is_first or load_generators(self._generators_file, state.step)
        if not known:
            # This process was stopped before it could save its generators.
            torch.manual_seed(self.task.config.seed + self.processes.rank + state.step)
        _log.info("Resumed after step %d, epoch %d.", state.step, state.epoch + 1)

    @property
    def _gpu(self) -> int | None:
        """Index of the GPU; None on other devices."""
        device = self.fabric.device
        return (device.index or 0) if device.type == "cuda" else None

    @property
    def _generators_file(self) -> Path:
        return self.run.folder / f"last.rank{self.processes.rank}.ckpt"
