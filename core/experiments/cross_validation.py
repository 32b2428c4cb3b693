"""Group K-fold cross-validation: one network per fold, evaluated on its held-out patients."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from core.annotations.corrections import studies_of
from core.config import RunConfig
from core.dicom.series import read_series
from core.errors import ConfigError, DicomSeriesError, TrainingError
from core.evaluation.report import EvaluationReport, evaluate_predictions
from core.evaluation.tables.truth import truth_from_data_root
from core.experiments.cohorts import PREDICTIONS_FOLDER
from core.experiments.finished_runs import finished_run
from core.inference.outputs import write_predictions
from core.inference.predictor import Predictor
from core.models.bundles import BundleInfo, read_bundle
from core.models.pairs import BundlePair, default_bundle, vertebra_for
from core.system import atomic_files
from core.training.cohort import saved_folds
from core.training.fold_figures import SUMMARY_FILE, Spread
from core.training.run_list import summarise_run
from core.training.runs import RunFolder
from core.types import LevelName, Progress, Say, SlicePredictions, Store

FOLDS_FILE: Final = "folds.json"
FIGURES: Final = ("auc", "average_precision", "f1", "recall", "precision", "accuracy")


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """Results over the folds.

    Attributes:
        folds: Figures by level ("slice", "vertebra", "patient", "presence"), then by name.
        pooled: Report of all out-of-fold predictions, with patient-bootstrap intervals.
        studies: Number of studies predicted.
        left_out: Reasons why studies were left out.
    """

    folds: Mapping[str, Mapping[str, Spread]]
    pooled: EvaluationReport
    studies: int
    left_out: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "folds": {
                level: {name: asdict(spread) for name, spread in figures.items()}
                for level, figures in self.folds.items()
            },
            "pooled": self.pooled.to_json(),
            "studies": self.studies,
            "left_out": list(self.left_out),
        }


def cross_validate(
    config: RunConfig,
    run_dir: Path,
    *,
    store: Store,
    checkpoints: Path,
    resume: bool = False,
    progress: Progress | None = None,
    say: Say = lambda _: None,
    replicates: int = 1000,
) -> CrossValidation:
    """Train every fold in `run_dir/fold-<k>`, and pool the predictions of held-out patients.

    A fold that is finished, here or on another machine (`train CONFIG --fold K --run-dir
    RUN/fold-K`), is not trained again. The folds' figures use the thresholds of the pooled
    predictions, so that they are comparable.

    Args:
        config: Config of the run; its `fold` is ignored.
        run_dir: Folder of the run; must not hold a run yet, unless `resume`.
        resume: Continue a run.
        progress: Called with (done, total) of the current training or prediction.
        store: Store of prepared slices.
        checkpoints: Folder of the shipped bundles, one of which is paired with the fold's network.
        say: Called with one line per fold.
        replicates: Replicates of the patient bootstrap.

    Raises:
        TrainingError: A fold cannot be trained, or is being trained elsewhere.
        ConfigError, DataRootError, BundleError, StorageError: As the parts raise them.
    """
    if config.facts.gives in ("boxes", "labels"):
        raise ConfigError(
            f"{config.facts.title} is trained one fold at a time; give --fold 0, then 1, and so on."
        )
    run = RunFolder(run_dir)
    whole = config.model_copy(update={"fold": "all"})
    run.start(whole, resume=resume)
    with run.recorded():
        bundles: list[BundleInfo] = []
        for fold in range(config.folds):
            say(f"Fold {fold + 1} of {config.folds}")
            run.write_status(
                "running", step=fold, total_steps=config.folds, message=f"fold {fold + 1}"
            )
            one = config.model_copy(update={"fold": fold})
            bundles.append(_train_fold(one, run, progress, store))
        say("Predicting the held-out patients of each fold")
        found = _pool(config, run, bundles, progress, replicates, store, checkpoints)
        atomic_files.write_json(run_dir / SUMMARY_FILE, found.to_json())
        run.append_metrics("validation", step=config.folds, epoch=1, auc=_main_auc(config, found))
        run.write_status("running", step=config.folds, total_steps=config.folds)
    return found


def _train_fold(
    config: RunConfig, whole: RunFolder, progress: Progress | None, store: Store
) -> BundleInfo:
    folder = whole.folder / f"fold-{config.fold}"
    if folder.is_dir() and summarise_run(folder).is_alive:
        raise TrainingError(
            f"{folder} is being trained by another process; run this again when it is done."
        )

    def follow(done: int, total: int) -> None:
        # The heartbeat of the run over all folds goes on while one of them trains.
        whole.beat(step=int(config.fold or 0), epoch=0)
        if progress is not None:
            progress(done, total)

    return finished_run(config, folder, store, follow)


def _pool(
    config: RunConfig, run: RunFolder, bundles: list[BundleInfo], progress: Progress | None,
    replicates: int, store: Store, checkpoints: Path,
) -> CrossValidation:  # fmt: skip
    records = studies_of(config.data_root, config.annotations)
    folds = saved_folds(records, config, store)
    found: list[SlicePredictions] = []
    seconds: list[float] = []
    left_out: list[str] = []
    done = 0
    for fold, bundle in enumerate(bundles):
        pair = pair_of(config, bundle, checkpoints)
        predictor = Predictor(pair.vertebra, pair.fracture, device=config.device)
        for record in (r for r in records if folds[r.study_id] == fold):
            start = time.perf_counter()
            try:
                found.append(predictor.predict(read_series(record.folder)))
                seconds.append(time.perf_counter() - start)
            except DicomSeriesError as error:
                left_out.append(str(error))
            done += 1
            run.beat(step=fold, epoch=0)
            if progress is not None:
                progress(done, len(records))
    if not found:
        raise TrainingError(f"No study of {config.data_root} can be read: {left_out[0]}")
    write_predictions(
        run.folder / PREDICTIONS_FOLDER, found, seconds=seconds, single=False, folds=folds
    )
    atomic_files.write_json(run.folder / FOLDS_FILE, folds)
    return _measure(config, found, folds, left_out, replicates)


def _measure(
    config: RunConfig, found: list[SlicePredictions], folds: Mapping[str, int],
    left_out: list[str], replicates: int,
) -> CrossValidation:  # fmt: skip
    truth = truth_from_data_root(config.data_root, {study.study_id for study in found})
    known = {study.study_id for study in truth}
    labelled = [study for study in found if study.study_id in known]
    pooled = evaluate_predictions(labelled, truth, replicates=replicates)
    thresholds: dict[LevelName, float] = {
        name: level.operating_point.threshold for name, level in pooled.levels.items()
    }
    reports: list[EvaluationReport | None] = []
    for fold in range(config.folds):
        members = [study for study in labelled if folds[study.study_id] == fold]
        ids = {study.study_id for study in members}
        reports.append(
            evaluate_predictions(
                members, [study for study in truth if study.study_id in ids],
                thresholds=thresholds, replicates=1,
            )
            if members
            else None
        )  # fmt: skip
    spreads = {
        level: {name: _spread([_figure(report, level, name) for report in reports])
                for name in FIGURES}
        for level in pooled.levels
    }  # fmt: skip
    return CrossValidation(spreads, pooled, len(found), tuple(left_out))


def pair_of(config: RunConfig, bundle: BundleInfo, checkpoints: Path) -> BundlePair:
    """The network of a run and the one that it is paired with.

    Args:
        config: Config of the run.
        bundle: Bundle of the run.
        checkpoints: Folder of the shipped bundles.

    Raises:
        BundleError: There is no bundle to pair it with.
    """
    if config.task == "vertebra":
        return BundlePair(bundle, default_bundle(checkpoints, "fracture"))
    if config.vertebra_bundle is not None and not bundle.config.gives_presence:
        return BundlePair(read_bundle(config.vertebra_bundle), bundle)
    return BundlePair(vertebra_for(bundle, checkpoints), bundle)


def _main_auc(config: RunConfig, found: CrossValidation) -> float | None:
    """The main figure of a run over folds; None if no mask gives slices their truth."""
    level = found.pooled.presence if config.task == "vertebra" else found.pooled.slice
    return None if level is None else level.metrics.auc


def _figure(report: EvaluationReport | None, level: LevelName, name: str) -> float | None:
    if report is None:
        return None
    measured = report.levels.get(level)
    value = None if measured is None else measured.to_json()[name]
    return None if value is None or math.isnan(value) else float(value)


def _spread(values: list[float | None]) -> Spread:
    known = [value for value in values if value is not None]
    return Spread(
        mean=statistics.fmean(known) if known else None,
        sd=statistics.stdev(known) if len(known) > 1 else None,
        values=tuple(values),
    )
