"""Ensembles of bundles: fitted on their predictions of the shipped cohorts, saved as a bundle."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.errors import BundleError, PredictionsError, StorageError
from core.evaluation.built_ensemble import BuiltEnsemble
from core.evaluation.tables.evaluation_set import EvaluationSet, align
from core.evaluation.tables.score_files import read_score_table, read_truth_table
from core.evaluation.tables.score_table import ScoreTable
from core.experiments.cohorts import FOLDS, HELD_OUT, ShippedCohort
from core.inference.outputs import read_slices, write_slices
from core.models.bundles import (
    CONFIG_FILE,
    METRICS_FILE,
    OPERATING_POINTS_FILE,
    BundleInfo,
    EnsembleConfig,
    read_bundle,
)
from core.models.ensemble_recipe import EnsembleRecipe
from core.models.ensembles import new_member
from core.models.pairs import vertebra_for
from core.system.atomic_files import hidden_folder, move_into_place, write_json, write_text
from core.types import SlicePredictions

_LONGEST_NAME: Final = 60


@dataclass(frozen=True, slots=True, eq=False)
class NewEnsemble:
    """An ensemble to save.

    Attributes:
        built: Weights and figures.
        members: Its members' bundles, in the order of the models.
        checkpoints: Folder of bundles, where the members' vertebra network is.
        about: Description of the studies that the weights and thresholds were chosen on, and of
            those that it was judged on.
        synthetic: Whether all of these were generated; None where it is not known.
        tables: By cohort, scores of its studies to store with the bundle.
    """

    built: BuiltEnsemble
    members: tuple[BundleInfo, ...]
    checkpoints: Path
    about: tuple[str, str]
    synthetic: bool | None = None
    tables: Mapping[ShippedCohort, ScoreTable] = field(
        default_factory=dict[ShippedCohort, ScoreTable]
    )


def cohort_scores(
    members: Sequence[BundleInfo], checkpoints: Path, cohort: ShippedCohort
) -> EvaluationSet:
    """The bundles' stored predictions of a shipped cohort with its truth.

    Raises:
        PredictionsError: A bundle has none, or a table is damaged.
        DataRootError: The truth is missing or damaged.
    """
    tables: list[ScoreTable] = []
    for bundle in members:
        file = cohort.predictions_file(bundle.folder)
        if not file.is_file():
            raise PredictionsError(
                f"{bundle.folder} has no predictions of the cohort “{cohort.title}”; give tables "
                "of scores and --truth instead of bundles."
            )
        tables.append(read_score_table(file, bundle.config.name))
    return align(tables, read_truth_table(cohort.truth_file(checkpoints)))


def cohort_tables(built: BuiltEnsemble) -> dict[ShippedCohort, ScoreTable]:
    """Scores to store of an ensemble fitted on `FOLDS` and judged on `HELD_OUT`."""
    return {
        FOLDS: built.chosen_on.model(built.name),
        HELD_OUT: built.judged.model(built.name),
    }


def save_ensemble(folder: Path, new: NewEnsemble, *, replicates: int = 1000) -> BundleInfo:
    """Write an ensemble as a bundle: config, figures, operating points, predictions of cohorts.

    Args:
        folder: New folder of the bundle; its files appear together.
        new: The ensemble.
        replicates: Bootstrap replicates of the figures.

    Raises:
        BundleError: A member cannot be one, the members do not fit the weights, or the folder
            exists or has no proper name.
        StorageError: The folder cannot be written.
    """
    _check_folder(folder)
    config = _config(folder, new)
    figures = new.built.figures(new.built.comparisons(replicates=replicates))
    try:
        with hidden_folder(folder.parent, folder.name) as staging:
            for cohort, table in new.tables.items():
                _write_predictions(staging, new, config, cohort, table)
            write_json(staging / METRICS_FILE, _metrics(new, figures))
            write_json(staging / OPERATING_POINTS_FILE, _points(new, config.created))
            write_text(staging / CONFIG_FILE, config.model_dump_json(indent=2) + "\n")
            move_into_place(staging, folder)
    except OSError as error:
        raise StorageError(
            f"Cannot write {folder}: {error.strerror or 'the write failed'}; free some space or "
            "choose a folder you can write to."
        ) from error
    return read_bundle(folder)


def _check_folder(folder: Path) -> None:
    name = folder.name
    safe = all(c.isalnum() or c in "-_." for c in name) and not name.startswith(".")
    if not name or not safe or len(name) > _LONGEST_NAME:
        raise BundleError(
            "The name of an ensemble is letters, digits, dots and hyphens, at most "
            f"{_LONGEST_NAME}; choose another."
        )
    if folder.exists():
        raise BundleError(f"{folder} exists; choose another name, or remove the folder.")


def _config(folder: Path, new: NewEnsemble) -> EnsembleConfig:
    combination = new.built.combination
    if len(new.members) != len(combination.weights):
        raise BundleError(
            f"{len(new.members)} bundles do not fit {len(combination.weights)} weights; name one "
            "bundle for each model."
        )
    quantiles = [r.quantiles for r in combination.references] or [()] * len(new.members)
    parts = zip(new.members, combination.weights, quantiles, strict=True)
    recipe = EnsembleRecipe(
        method=combination.method,
        members=tuple(new_member(bundle, folder, w, q) for bundle, w, q in parts),
        intercept=combination.intercept,
        weights_from=f"{new.built.weights_from} ({new.about[0]})",
    )
    largest = new.members[int(np.argmax(np.abs(combination.weights)))]
    others = (one for one in new.members if not one.config.gives_presence)
    vertebra = vertebra_for(next(others, largest), new.checkpoints)
    return EnsembleConfig(
        name=folder.name,
        task="fracture",
        type=2,
        backbone=largest.config.backbone,
        preparation=largest.config.preparation,
        vertebra_bundle=vertebra.config.name,
        weights_sha256=hashlib.sha256(recipe.model_dump_json().encode()).hexdigest(),
        parameters=sum(one.config.parameters for one in new.members),
        trained_on={"synthetic": new.synthetic, "weights": recipe.weights_from},
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        ensemble=recipe,
    )


def _points(new: NewEnsemble, saved: str) -> dict[str, Any]:
    """Thresholds of the highest F1 by level, with when they were set."""
    points = new.built.operating_points()
    entries = {level: point | {"saved": saved} for level, point in points.items()}
    return entries | {"chosen_on": new.about[0]}


def _metrics(new: NewEnsemble, figures: Mapping[str, Any]) -> dict[str, Any]:
    patient = figures.get("patient", {})
    low, high = patient.get("interval") or (None, None)
    return {
        "synthetic": new.synthetic,
        "judged": new.built.judged_as,
        "studies": new.about[1],
        "headline": {
            "name": "patient fracture AUC",
            "value": patient.get("auc"),
            "low": low,
            "high": high,
            "n_patients": patient.get("n_patients"),
        },
        "levels": figures,
    }


def _write_predictions(
    staging: Path, new: NewEnsemble, config: EnsembleConfig, cohort: ShippedCohort,
    table: ScoreTable,
) -> None:  # fmt: skip
    """Store the ensemble's slices of a cohort, with the positions of a member's."""
    source = next((one for one in new.members if not one.config.gives_presence), new.members[0])
    places = {study: k for k, study in enumerate(table.study_ids.tolist())}
    names = tuple(dict.fromkeys((config.vertebra_bundle or "", config.name)))
    stored = [
        _with_scores(one, table, places[one.study_id], names)
        for one in read_slices(cohort.predictions_file(source.folder))
        if one.study_id in places
    ]
    folds = {study: int(table.fold[k]) for study, k in places.items() if table.fold[k] >= 0}
    write_slices(cohort.predictions_file(staging), stored, folds=folds)


def _with_scores(
    study: SlicePredictions, table: ScoreTable, place: int, names: tuple[str, ...]
) -> SlicePredictions:
    if table.presence is None or table.fracture is None or table.fracture_type is None:
        raise PredictionsError(f"{table.name} has no slices to store; leave its cohorts out.")
    rows = slice(*table.offsets[place : place + 2].tolist())
    presence = table.presence[rows]
    return replace(
        study,
        vertebra_probs=presence,
        fracture_probs=np.array(np.broadcast_to(table.fracture[rows], presence.shape)),
        fracture_type=table.fracture_type,
        models=names,
    )
