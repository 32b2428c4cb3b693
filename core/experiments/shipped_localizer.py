"""Training and scoring of the shipped localiser."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pandas as pd

from core.config import PROJECT_ROOT, Settings, load_run_config
from core.dataset.rsna import read_studies
from core.evaluation.detection.files import BoxTables, fused_table, write_box_cohort
from core.experiments.cohorts import BOXES, FOLDS, HELD_OUT, PREDICTIONS_FOLDER, TRAIN
from core.experiments.finished_runs import finished_run
from core.experiments.localizer_baselines import heat_boxes
from core.experiments.localizer_cohort import localize_cohort
from core.experiments.localizer_report import (
    BOX_RULE,
    FALSE_PER_STUDY,
    HEAT_FILE,
    STEPS,
    heat_measures,
    report_of,
    write_measures,
)
from core.experiments.localizer_scores import score_localizer
from core.models.bundles import OPERATING_POINTS_FILE, BundleInfo, read_bundle
from core.models.pairs import DEFAULT_NAMES
from core.phantom.cohort import write_cohort
from core.prepared.box_slices import load_box_slices
from core.system.atomic_files import write_json
from core.system.parquet import write_parquet
from core.types import Progress, Say, StudyRecord

_CONFIGS: Final = PROJECT_ROOT / "configs" / "localization"
STAGES: Final = (
    (_CONFIGS / "mobilenet_v3_large.yaml", TRAIN),
    (_CONFIGS / "mobilenet_v3_large_more.yaml", BOXES),
)
"""Config and cohort of each stage, which starts from the previous one."""
NAME: Final = "localization_mobilenet_v3_large"
SLICE_MODEL: Final = "fracture_type1"
"""Network whose heat map and slice probabilities the localiser is compared with."""


def build_localizer(
    settings: Settings,
    work: Path,
    *,
    score_only: bool = False,
    studies: int = HELD_OUT.studies,
    jobs: int | None = None,
    progress: Progress | None = None,
    say: Say = lambda _: None,
) -> BundleInfo:
    """Train the shipped localiser, score it on held-out studies and write the bundle.

    Args:
        settings: Folders of bundles and caches.
        work: Folder of the cohorts and of the runs; finished parts are kept.
        score_only: Do not train; score the bundle again.
        studies: Number of held-out studies to measure on, the first by study id.
        jobs: Processes that read the cohorts; None: one per core.
        progress: Called with (done, total) of the current part.
        say: Called with the name of each step.

    Returns:
        The bundle.

    Raises:
        CSpineError: As the parts raise it.
    """
    trained_on = () if score_only else tuple(cohort for _, cohort in STAGES)
    for cohort in (FOLDS, HELD_OUT, *trained_on):
        write_cohort(
            work / cohort.name, studies=cohort.studies, seed=cohort.seed, jobs=jobs,
            recipe=cohort.recipe, progress=progress,
        )  # fmt: skip
    target = settings.checkpoints / NAME
    if not score_only:
        made = train_stages(settings, work, progress=progress, say=say)
        target.mkdir(parents=True, exist_ok=True)
        for file in made.iterdir():
            shutil.copy2(file, target / file.name)
    bundle = read_bundle(target)
    return _score(bundle, work, settings, studies, jobs, progress, say)


def train_stages(
    settings: Settings,
    work: Path,
    *,
    progress: Progress | None = None,
    say: Say = lambda _: None,
) -> Path:
    """Train the stages of the localiser one after another, except finished ones.

    Args:
        settings: Folders of caches.
        work: Folder of the cohorts, which must exist, and of the runs.
        progress: Called with (steps done, total steps) of the current stage.
        say: Called with one line per trained stage.

    Returns:
        Folder of the last stage's bundle.

    Raises:
        CSpineError: As training raises it.
    """
    bundles: list[Path] = []
    for file, cohort in STAGES:
        start = bundles[-1] if bundles else None
        config = load_run_config(file, data_root=work / cohort.name, init_from=start)
        run = work / "runs" / f"localization_{file.stem}"
        bundles.append(finished_run(config, run, settings.store, progress, say).folder)
    return bundles[-1]


def _score(
    bundle: BundleInfo, work: Path, settings: Settings, studies: int, jobs: int | None,
    progress: Progress | None, say: Say,
) -> BundleInfo:  # fmt: skip
    """Choose weights and operating points on the folds cohort, and measure on held-out studies.

    The bundle's metrics, operating points, card and boxes are replaced.
    """
    say("Boxes of the cohort that weights and thresholds are chosen on")
    folds = localize_cohort(
        bundle, work / FOLDS.name, read_studies(work / FOLDS.name), settings.store,
        jobs=jobs, progress=progress,
    )  # fmt: skip
    threshold = _box_threshold(folds)
    say("Boxes of the held-out studies")
    held_out = read_studies(work / HELD_OUT.name)[:studies]
    cohort = localize_cohort(
        bundle, work / HELD_OUT.name, held_out, settings.store, jobs=jobs, progress=progress
    )
    write_box_cohort(bundle.folder / PREDICTIONS_FOLDER, cohort)
    say("Boxes of heat maps, for comparison")
    slice_model = read_bundle(settings.checkpoints / SLICE_MODEL)
    heat = heat_boxes(slice_model, held_out, cohort, progress)
    write_json(
        bundle.folder / PREDICTIONS_FOLDER / HEAT_FILE, heat_measures(heat, cohort, SLICE_MODEL)
    )
    _write_pictures(bundle, held_out, settings)
    write_json(
        bundle.folder / OPERATING_POINTS_FILE,
        {
            "box": {
                "threshold": threshold,
                "rule": BOX_RULE,
                "chosen_on": f"{len(folds.raw)} studies of the training cohort",
            }
        },
    )
    vertebra = read_bundle(settings.checkpoints / DEFAULT_NAMES["vertebra"])
    score_localizer(read_bundle(bundle.folder), vertebra, folds, cohort, say)
    return write_measures(read_bundle(bundle.folder), slice_model)


def _box_threshold(cohort: BoxTables) -> float:
    """Score threshold for one false box per study on a cohort that was not trained on."""
    found = report_of(fused_table(cohort.raw, STEPS[-1].settings), cohort, replicates=0)
    return round(found.froc_boxes.threshold_at(FALSE_PER_STUDY), 4)


def _write_pictures(bundle: BundleInfo, records: Sequence[StudyRecord], settings: Settings) -> None:
    """Write the squares with a true box as JPEG, for the page's gallery."""
    rows: list[dict[str, Any]] = []
    for record in records:
        if not record.boxes:
            continue
        study = load_box_slices(record, bundle.config.preparation, store=settings.store)
        for index in sorted(study.boxes):
            done, encoded = cv2.imencode(
                ".jpg", np.array(study.images[index]), [cv2.IMWRITE_JPEG_QUALITY, 88]
            )
            square = dict(
                zip(("left", "top", "right", "bottom"), study.squares[index], strict=True)
            )
            if done:
                rows.append(
                    {"study_id": record.study_id, "slice_index": index, **square,
                     "jpeg": encoded.tobytes()}
                )  # fmt: skip
    write_parquet(bundle.folder / PREDICTIONS_FOLDER / "pictures.parquet", pd.DataFrame(rows))
