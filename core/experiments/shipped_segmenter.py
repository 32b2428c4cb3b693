"""Training and measuring of the shipped segmenter."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from core.config import PROJECT_ROOT, Settings, load_run_config
from core.experiments.abstention import made_cohort
from core.experiments.cohorts import (
    SEGMENTED,
    SEGMENTED_FRESH,
    SEGMENTED_MORE,
    GeneratedCohort,
)
from core.experiments.finished_runs import finished_run
from core.experiments.joined_cohort import join_cohorts
from core.experiments.presence_sources import ComparedStudy, compare_sources, source_figures
from core.experiments.segmentation_measures import (
    MeasuredStudy,
    measure_studies,
    summary_of,
)
from core.inference.segmentation import SegmentationPredictor
from core.models.bundles import METRICS_FILE, MODEL_CARD_FILE, BundleInfo, read_bundle
from core.models.pairs import choose_pair
from core.system.atomic_files import write_json, write_text
from core.training.grid_card import grid_card
from core.types import Progress, Say, StudyRecord

_CONFIGS: Final = PROJECT_ROOT / "configs" / "segmentation"
NAME: Final = "segmentation_unet3d"


@dataclass(frozen=True, slots=True)
class Stage:
    """A run that starts from the weights of the previous one.

    Attributes:
        name: Name of its config in `configs/segmentation`.
        root: Folder of the joined cohorts.
        cohorts: What it is trained on.
    """

    name: str
    root: str
    cohorts: tuple[GeneratedCohort, ...]


STAGES: Final = (
    Stage("unet3d", "segmented", SEGMENTED),
    Stage("unet3d_more", "segmented", SEGMENTED),
    Stage("unet3d_long", "segmented", SEGMENTED),
    Stage("unet3d_other", "segmented_more", SEGMENTED_MORE),
)


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
    target = settings.checkpoints / NAME
    steps = _Steps(settings, work, jobs, progress, say)
    if not score_only:
        made = steps.trained()
        target.mkdir(parents=True, exist_ok=True)
        for file in made.iterdir():
            shutil.copy2(file, target / file.name)
    bundle = read_bundle(target)
    kept = {k: v for k, v in (bundle.metrics or {}).items() if k in ("epoch", "validation")}
    metrics = {**kept, "synthetic": True, **steps.measured(bundle)}
    write_json(bundle.folder / METRICS_FILE, metrics)
    write_text(bundle.folder / MODEL_CARD_FILE, grid_card(bundle, metrics))
    return read_bundle(target)


@dataclass(frozen=True, slots=True)
class _Steps:
    """Training and measuring with the arguments of `build_segmenter`."""

    settings: Settings
    work: Path
    jobs: int | None
    progress: Progress | None
    say: Say

    def trained(self) -> Path:
        """Train all stages; return the folder of the last one's bundle."""
        for cohort in SEGMENTED_MORE:
            self._studies(cohort)
        made: Path | None = None
        for stage in STAGES:
            root = join_cohorts(
                self.work / stage.root, [self.work / one.name for one in stage.cohorts]
            )
            file = _CONFIGS / f"{stage.name}.yaml"
            config = load_run_config(file, data_root=root, init_from=made)
            run = self.work / "runs" / f"segmentation_{stage.name}"
            store = self.settings.store
            made = finished_run(config, run, store, self.progress, self.say).folder
        assert made is not None
        return made

    def measured(self, bundle: BundleInfo) -> dict[str, Any]:
        """Figures on fresh studies, for `metrics.json`."""
        predictor = SegmentationPredictor(bundle, device="cpu")
        pair = choose_pair(self.settings.checkpoints)
        rows: list[dict[str, Any]] = []
        every: list[MeasuredStudy] = []
        compared: list[ComparedStudy] = []
        for cohort in SEGMENTED_FRESH:
            records = self._studies(cohort)
            studies = measure_studies(predictor, records, self.progress)
            rows.append({"cohort": cohort.name, **cohort.made_from(), **summary_of(studies)})
            every += studies
            if pair.fracture.config.gives_boxes:
                self.say(f"Presence by {pair.vertebra.config.name} on {cohort.name}")
                sources = compare_sources(pair, records, studies, self.progress)
                rows[-1]["sources"] = source_figures(sources)
                compared += sources
        metrics: dict[str, Any] = {"headline": _headline(every), "measured": rows}
        if compared:
            metrics["sources"] = {
                "networks": [pair.vertebra.config.name, bundle.config.name],
                "boxes": pair.fracture.config.name,
                **source_figures(compared),
            }
        return metrics

    def _studies(self, cohort: GeneratedCohort) -> list[StudyRecord]:
        return made_cohort(cohort, self.work, jobs=self.jobs, progress=self.progress, say=self.say)


def _headline(studies: Sequence[MeasuredStudy]) -> dict[str, Any]:
    """The mean Dice coefficient over all fresh studies, as the pages show a bundle's figure."""
    found = summary_of(studies)
    low, high = found["dice_interval"]
    return {
        "name": "mean Dice of C1–C7",
        "value": found["dice"],
        "low": low,
        "high": high,
        "n_patients": len(studies),
    }
