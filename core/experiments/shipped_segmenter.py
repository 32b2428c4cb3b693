"""Training and measuring of the segmenter.

Its bundle is among the experiments, where no page and no default finds it, until it keeps its aims:
a mean Dice coefficient of 0.90 and 95 % of the vertebrae at the right level.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

from core.config import PROJECT_ROOT, Settings, load_run_config
from core.experiments.abstention import made_cohort
from core.experiments.cohorts import SEGMENTED, SEGMENTED_FRESH
from core.experiments.finished_runs import finished_run
from core.experiments.joined_cohort import join_cohorts
from core.experiments.segmentation_measures import measure_studies, summary_of
from core.inference.segmentation import SegmentationPredictor
from core.models.bundles import (
    EXPERIMENTS_FOLDER,
    METRICS_FILE,
    MODEL_CARD_FILE,
    BundleInfo,
    read_bundle,
)
from core.system.atomic_files import write_json, write_text
from core.training.grid_card import grid_card
from core.types import Progress, Say

_CONFIGS: Final = PROJECT_ROOT / "configs" / "segmentation"
STAGES: Final = tuple(
    _CONFIGS / f"{name}.yaml" for name in ("unet3d", "unet3d_more", "unet3d_long")
)
"""Config of each stage, which starts from the previous one."""
NAME: Final = "segmentation_unet3d"
JOINED: Final = "segmented"


def build_segmenter(
    settings: Settings,
    work: Path,
    *,
    score_only: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
    say: Say = lambda _: None,
) -> BundleInfo:
    """Train the segmenter, measure it on fresh studies and write the bundle.

    Args:
        settings: Folders of bundles and caches.
        work: Folder of the cohorts and of the run; finished parts are kept.
        score_only: Do not train; measure the bundle again.
        jobs: Processes for the cohorts; None: one per core.
        progress: Called with (done, total) of the current part.
        say: Called with the name of each step.

    Returns:
        The bundle.

    Raises:
        CSpineError: As the parts raise it.
    """
    target = settings.checkpoints / EXPERIMENTS_FOLDER / NAME
    if not score_only:
        for cohort in SEGMENTED:
            made_cohort(cohort, work, jobs=jobs, progress=progress, say=say)
        joined = join_cohorts(work / JOINED, [work / cohort.name for cohort in SEGMENTED])
        made: Path | None = None
        for file in STAGES:
            config = load_run_config(file, data_root=joined, init_from=made)
            run = work / "runs" / f"segmentation_{file.stem}"
            made = finished_run(config, run, settings.store, progress, say).folder
        assert made is not None
        target.mkdir(parents=True, exist_ok=True)
        for file in made.iterdir():
            shutil.copy2(file, target / file.name)
    bundle = read_bundle(target)
    predictor = SegmentationPredictor(bundle, device="cpu")
    measured: list[dict[str, Any]] = []
    for cohort in SEGMENTED_FRESH:
        records = made_cohort(cohort, work, jobs=jobs, progress=progress, say=say)
        found = summary_of(measure_studies(predictor, records, progress))
        measured.append({"cohort": cohort.name, **cohort.made_from(), **found})
    kept = {k: v for k, v in (bundle.metrics or {}).items() if k in ("epoch", "validation")}
    metrics = {**kept, "synthetic": True, "measured": measured}
    write_json(bundle.folder / METRICS_FILE, metrics)
    write_text(bundle.folder / MODEL_CARD_FILE, grid_card(bundle, metrics))
    return read_bundle(target)
