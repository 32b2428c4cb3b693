"""Sources of predictions and truth: shipped bundles, runs of this machine, imports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from core.config import Settings, load_run_config
from core.dataset.rsna import LABELS_FILE, is_synthetic
from core.errors import ConfigError
from core.experiments.cohorts import FOLDS, HELD_OUT, PREDICTIONS_FOLDER, SHIPPED
from core.inference.outputs import find_slices
from core.models.bundles import BundleInfo, list_bundles
from core.models.ensembles import ensembles_root
from core.models.names import short_name
from core.phantom.on_demand import CohortSeed
from core.training.run_files import RunFiles
from dashboard.evaluation.imports import list_imports
from dashboard.studies.data_sets import title_of
from dashboard.studies.synthetic_studies import cohort_seeds

IN_USE: Final = "data"
ENSEMBLE_ID: Final = "ensemble"
"""Id of the ensemble of the models shown, which has no tables of its own."""
ENSEMBLE_NAME: Final = "Ensemble"

SourceKind = Literal["bundle", "run", "import", "ensemble"]


@dataclass(frozen=True, slots=True)
class TruthSource:
    """Truth of one set of studies.

    Attributes:
        truth_id: Id in a link.
        label: Name on the page.
        path: A Parquet file, a `train.csv` or a data root.
        synthetic: Whether the studies were generated; None where it is not known.
        root: Data root that holds the DICOM files; None where they are not on disk.
        seed: Seed from which a synthetic cohort is generated; None for others.
    """

    truth_id: str
    label: str
    path: Path
    synthetic: bool | None
    root: Path | None = None
    seed: CohortSeed | None = None


@dataclass(frozen=True, slots=True)
class PredictionSource:
    """One model and its tables of scores.

    Attributes:
        source_id: Id in a link.
        label: Name on the page.
        kind: Kind of source.
        tables: By truth id, a Parquet file, or a CSV of an imported model.
        bundle: The bundle that operating points are saved to; None for the others.
    """

    source_id: str
    label: str
    kind: SourceKind
    tables: Mapping[str, Path] = field(default_factory=dict)
    bundle: BundleInfo | None = None

    def other_table(self, truth_id: str) -> tuple[str, Path] | None:
        """Truth id and table on which thresholds are chosen; None for the evaluated set itself.

        Held-out studies are evaluated at thresholds chosen on the out-of-fold predictions, never
        the other way round.
        """
        if truth_id != HELD_OUT.truth_id or FOLDS.truth_id not in self.tables:
            return None
        return FOLDS.truth_id, self.tables[FOLDS.truth_id]


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that can be evaluated.

    Attributes:
        truths: By id, in the order of the page.
        models: By id, in the order of the page; colours follow this order.
    """

    truths: Mapping[str, TruthSource]
    models: Mapping[str, PredictionSource]

    def evaluable(self) -> list[TruthSource]:
        """Truths that at least one model has predictions for."""
        return [truth for truth in self.truths.values() if self.models_for(truth.truth_id)]

    def models_for(self, truth_id: str) -> list[PredictionSource]:
        """Models that have predictions for a truth."""
        return [model for model in self.models.values() if truth_id in model.tables]


def find_sources(settings: Settings) -> Sources:
    """Find everything that can be evaluated, without opening the files."""
    bundles = list_bundles(settings.checkpoints)
    truths = {truth.truth_id: truth for truth in _cohorts(settings, bundles)}
    if (settings.data_root / LABELS_FILE).is_file():
        truths[IN_USE] = _data_root_truth(IN_USE, settings.data_root)
    made = list_bundles(ensembles_root(settings.cspine_var))
    models = [_bundle_source(bundle, truths, "bundle") for bundle in bundles]
    models += [_bundle_source(bundle, truths, "saved") for bundle in made]
    models += _runs(settings, truths)
    models += _imports(settings, truths)
    found = [model for model in models if model.tables]
    return Sources(truths, {model.source_id: model for model in _distinct(found)})


def _distinct(models: Sequence[PredictionSource]) -> list[PredictionSource]:
    """Models with distinct labels; an import may have the name of a bundle."""
    found: list[PredictionSource] = []
    for model in models:
        taken = {other.label for other in found}
        label, number = model.label, 2
        while label in taken:
            label, number = f"{model.label} ({number})", number + 1
        found.append(replace(model, label=label))
    return found


def _cohorts(settings: Settings, bundles: Iterable[BundleInfo]) -> list[TruthSource]:
    seeds = cohort_seeds(bundles)
    return [
        TruthSource(
            cohort.truth_id, cohort.title, path, synthetic=True, seed=seeds.get(cohort.truth_id)
        )
        for cohort in SHIPPED
        if (path := cohort.truth_file(settings.checkpoints)).is_file()
    ]


def _bundle_source(
    bundle: BundleInfo, truths: Mapping[str, TruthSource], prefix: str
) -> PredictionSource:
    tables = {
        cohort.truth_id: file
        for cohort in SHIPPED
        if cohort.truth_id in truths and (file := cohort.predictions_file(bundle.folder)).is_file()
    }
    name = bundle.folder.name
    return PredictionSource(f"{prefix}.{_safe(name)}", short_name(name), "bundle", tables, bundle)


def _runs(settings: Settings, truths: dict[str, TruthSource]) -> list[PredictionSource]:
    """Runs with predictions over all folds; adds the truths of their data to `truths`."""
    found: list[PredictionSource] = []
    if not settings.runs_root.is_dir():
        return found
    for folder in sorted(settings.runs_root.iterdir()):
        table = find_slices(folder / PREDICTIONS_FOLDER)
        if folder.name.startswith(".") or table is None:
            continue
        try:
            root = load_run_config(folder / "config.yaml").data_root
        except ConfigError:
            continue
        if not (root / LABELS_FILE).is_file():
            continue
        truth_id = _known(truths, root) or f"root.{_safe(root.name)}.{_safe(folder.name)}"
        truths.setdefault(truth_id, _data_root_truth(truth_id, root))
        label = f"run {RunFiles(folder).read_name() or folder.name}"
        found.append(PredictionSource(f"run.{_safe(folder.name)}", label, "run", {truth_id: table}))
    return found


def _imports(settings: Settings, truths: dict[str, TruthSource]) -> list[PredictionSource]:
    found: list[PredictionSource] = []
    for entry in list_imports(settings):
        truth_id = entry.truth_id if entry.truth_id in truths else None
        if truth_id is None and entry.truth_path is not None and entry.truth_path.exists():
            truth_id = _known(truths, entry.truth_path) or f"truth.{entry.import_id}"
            truths.setdefault(truth_id, _path_truth(truth_id, entry.truth_path))
        if truth_id is not None and entry.table.exists():
            found.append(
                PredictionSource(
                    f"import.{entry.import_id}", entry.name, "import", {truth_id: entry.table}
                )
            )
    return found


def _path_truth(truth_id: str, path: Path) -> TruthSource:
    if path.is_dir() and (path / LABELS_FILE).is_file():
        return _data_root_truth(truth_id, path)
    return TruthSource(truth_id, f"Truth of {path.name}", path, None)


def _data_root_truth(truth_id: str, root: Path) -> TruthSource:
    return TruthSource(truth_id, title_of(root), root, is_synthetic(root), root=root)


def _known(truths: Mapping[str, TruthSource], path: Path) -> str | None:
    """Id of the truth at a path, if it is among them."""
    wanted = path.resolve()
    for truth in truths.values():
        if truth.path.resolve() == wanted:
            return truth.truth_id
    return None


def _safe(name: str) -> str:
    """A name without the commas and stars that separate parts of a link."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
