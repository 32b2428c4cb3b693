"""One localisation run from its config to its bundle, in the same folder as any other run."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from lightning_fabric import Fabric
from torch import nn

from core.config import RunConfig, Settings
from core.models.anchors import Anchors, fit_anchors
from core.models.bundles import UNSAVED_SHA256, BundleConfig, read_bundle
from core.models.checkpoint import save_bundle
from core.models.localizer import Localizer, pyramid_spec
from core.models.localizer_bundle import start_localizer
from core.prepared.box_dataset import AugmentedBoxes, BoxBatch, BoxDataset
from core.system.atomic_files import write_json
from core.training.batches import Batches
from core.training.box_cohort import FIELD_MM, BoxTrainingCohort, load_box_cohort
from core.training.box_engine import evaluate_boxes, train_box_epoch
from core.training.distributed import Processes, agree, processes_of_torchrun, start_fabric
from core.training.monitor import Monitor
from core.training.provenance import Provenance, provenance
from core.training.runs import FollowerRun, RunFolder
from core.training.state import TrainingState, fresh_state, load_training_state, save_training_state
from core.training.tensorboard_log import CurvesLog, open_curves
from core.types import Progress

PROVENANCE_FILE: Final = "provenance.json"
_ORDER_STREAM: Final = 0
_AUGMENT_STREAM: Final = 1
_VALIDATION_STREAM: Final = 2
_log = logging.getLogger("core.training")


def train_localizer(
    config: RunConfig,
    run_dir: Path,
    *,
    resume: bool = False,
    progress: Progress | None = None,
    cache_dir: Path | None = None,
    on_evaluation: Callable[[int, dict[str, Any]], bool] | None = None,
) -> Path:
    """Train a localiser and write its bundle.

    The anchors are fitted to the boxes of the training folds before anything else, unless the run
    goes on from another localiser (`init_from`): it keeps that one's anchors, which its heads
    learnt against.

    Args:
        config: The run, of the task "localization"; its `fold` is a number or None.
        run_dir: Its folder; must not hold a run yet, unless `resume`.
        resume: Go on from the last checkpoint in `run_dir`.
        progress: Called with (steps done, steps in all).
        cache_dir: Slice store; `RSNA_CACHE` unless given.
        on_evaluation: Called with the epochs finished and the measures on the held-out fold;
            returning True ends the run there.

    Returns:
        The bundle's folder inside `run_dir`.

    Raises:
        TrainingError: The run cannot start or go on.
        DataRootError: The data root is not in RSNA's layout.
        DeviceError: The device asked for is not there.
        StorageError: `run_dir` or the store cannot be written.
    """
    processes = processes_of_torchrun()
    run = RunFolder(run_dir) if processes.is_first else FollowerRun(run_dir)
    run.start(config, resume=resume)
    with run.recorded():
        fabric = start_fabric(config, processes)
        cohort = load_box_cohort(config, cache_dir or Settings().rsna_cache, run)
        origin = provenance(cohort.fingerprint)
        if processes.is_first:
            write_json(run.folder / PROVENANCE_FILE, asdict(origin))
        anchors = _known_anchors(config) or fit_anchors(
            cohort.training.sides,
            levels=pyramid_spec(config.backbone).levels,
            per_level=config.anchors_per_level,
            seed=config.seed,
        )
        _log.info("Anchors (width, height) in pixels by level: %s.", anchors)
        job = _Job(config, run, processes, fabric, cohort, anchors, origin, on_evaluation)
        return job.carry_out(progress, resume=resume)


def _known_anchors(config: RunConfig) -> Anchors | None:
    """The anchors of the localiser that a run starts from; None where it starts from none."""
    if config.init_from is None:
        return None
    return read_bundle(config.init_from).config.anchors


def _history(config: RunConfig) -> dict[str, Any]:
    """The bundle that a run starts from, and what earlier localisers in that line learnt from."""
    if config.init_from is None:
        return {"init_from": None, "earlier_stages": []}
    first = read_bundle(config.init_from).config
    known = first.trained_on
    stages = list(known.get("earlier_stages", []))
    if first.task == "localization":
        told = {name: known.get(name) for name in ("studies", "boxes", "study_ids_sha256")}
        stages.append(told | {"epochs": known.get("run", {}).get("epochs")})
    return {"init_from": first.name, "earlier_stages": stages}


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A run whose data and devices are ready."""

    config: RunConfig
    run: RunFolder
    processes: Processes
    fabric: Fabric
    cohort: BoxTrainingCohort
    anchors: Anchors
    origin: Provenance
    on_evaluation: Callable[[int, dict[str, Any]], bool] | None

    def carry_out(self, progress: Progress | None, *, resume: bool) -> Path:
        """Train from the last checkpoint, or the start, to the bundle."""
        run, config = self.run, self.config
        total_steps = config.epochs * self._epoch_batches(0).total
        state = self._initial_state(total_steps)
        if resume and run.checkpoint_file.exists():
            load_training_state(run.checkpoint_file, state)
            _log.info("Resumed after step %d, epoch %d.", state.step, state.epoch + 1)
        run.drop_metrics_after(state.step, state.epoch)
        run.write_status("running", step=state.step, total_steps=total_steps, epoch=state.epoch)
        first = self.processes.is_first
        with open_curves(run, state.step) as curves:
            monitor = Monitor(
                run if first else None, state, total_steps,
                progress=progress if first else None, curves=curves,
                checkpoint=partial(self._save, state),
                checkpoint_every_s=config.checkpoint_every_s,
                agree=partial(agree, self.fabric, self.processes),
                stops=lambda: run.stops.asked,
            )  # fmt: skip
            while not state.finished:
                self._epoch(state, monitor, curves)
                self._save(state)
                run.write_status("running", step=state.step, epoch=state.epoch)
        if first:
            self._write_bundle(state)
        return run.bundle

    def _epoch(self, state: TrainingState, monitor: Monitor, curves: CurvesLog | None) -> None:
        """Train what is left of the epoch, then measure."""
        batches = self._epoch_batches(state.epoch, first=state.batch)
        # Several processes cannot wait for each other's step: a signal has reached them all.
        alone = self.processes.world == 1
        with self.run.stops.put_off() if alone else contextlib.nullcontext():
            train_box_epoch(
                self.fabric, state, batches,
                on_step=monitor, gradient_clip=self.config.gradient_clip,
            )  # fmt: skip
        monitor.end_epoch()
        ended = self._validate(state, curves)
        state.finished = ended or state.epoch >= self.config.epochs

    def _validate(self, state: TrainingState, curves: CurvesLog | None) -> bool:
        """Measure on the held-out fold, where there is one; tell whether that ends the run."""
        held_out = self.cohort.validation
        if held_out is None:
            return False
        order = held_out.evaluation_order(
            seed=(self.config.seed, 0, _VALIDATION_STREAM), negatives=self.config.negatives
        )
        batches = self._batches(held_out, order, None)
        beat = partial(self.run.beat, step=state.step, epoch=state.epoch)
        result = asdict(evaluate_boxes(self.fabric, state.model, batches, on_batch=beat))
        state.validation = result
        self.run.append_metrics("validation", step=state.step, epoch=state.epoch, **result)
        if curves is not None:
            curves.write(
                state.step, validation__auc=result["auc"], validation__mean_iou=result["mean_iou"]
            )
        _log.info(
            "Epoch %d: mean IoU %.3f, hit rate %.3f, slice AUC %s.",
            state.epoch, result["mean_iou"], result["hit_rate"], result["auc"],
        )  # fmt: skip
        asked = self.on_evaluation is not None and self.on_evaluation(state.epoch, result)
        return agree(self.fabric, self.processes, asked)

    def _epoch_batches(self, epoch: int, *, first: int = 0) -> Batches[BoxBatch]:
        config, learnt = self.config, self.cohort.training
        order = learnt.training_order(
            seed=(config.seed, epoch, _ORDER_STREAM), negatives=config.negatives
        )
        augment = (config.seed, epoch, _AUGMENT_STREAM) if config.augment else None
        return self._batches(learnt, order, augment, drop_last=True, first=first)

    def _batches(
        self,
        dataset: BoxDataset,
        order: Any,  # noqa: ANN401 - int64 indices
        augment: tuple[int, ...] | None,
        **options: Any,  # noqa: ANN401 - of Batches
    ) -> Batches[BoxBatch]:
        return Batches(
            AugmentedBoxes(dataset, augment),
            order,
            max(self.config.batch_size, self.processes.world),
            workers=self.config.loader_workers,
            shard=(self.processes.rank, self.processes.world),
            pin_memory=self.fabric.device.type == "cuda",
            **options,
        )

    def _initial_state(self, total_steps: int) -> TrainingState:
        config = self.config
        model: nn.Module = Localizer(
            config.backbone, self.anchors, size=config.size, pretrained=config.pretrained
        )
        if config.init_from is not None:
            taken = start_localizer(model, read_bundle(config.init_from))
            _log.info("%d tensors start from %s.", taken, config.init_from.name)
        return fresh_state(self.fabric, config, model, total_steps)

    def _write_bundle(self, state: TrainingState) -> None:
        config, cohort = self.config, self.cohort
        study_ids = sorted(study.study_id for study in cohort.training.studies)
        description = BundleConfig(
            name=f"localization_{config.backbone}",
            task="localization",
            type=1,
            backbone=config.backbone,
            size=config.size,
            field_mm=config.field_mm or FIELD_MM,
            crop=1.0,
            window_center=config.window_center,
            window_width=config.window_width,
            channels=config.channels,
            anchors=self.anchors,
            weights_sha256=UNSAVED_SHA256,
            parameters=1,
            trained_on={
                "synthetic": cohort.synthetic,
                "studies": len(study_ids),
                "slices": len(cohort.training),
                "boxes": len(cohort.training.sides),
                "study_ids_sha256": hashlib.sha256("\n".join(study_ids).encode()).hexdigest(),
                "data_fingerprint": self.origin.data_fingerprint,
                "git_commit": self.origin.git_commit,
                "packages": self.origin.packages,
                "steps": state.step,
                **_history(config),
                "run": config.model_dump(
                    mode="json", exclude={"data_root", "device", "vertebra_bundle", "init_from"}
                ),
                "validation": state.validation,
            },
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        save_bundle(self.run.bundle, state.model, description)

    def _save(self, state: TrainingState) -> None:
        if self.processes.is_first:
            save_training_state(self.run.checkpoint_file, state)
