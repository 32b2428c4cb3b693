"""The command that evaluates predictions, from this program or another."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from core.cli.common import app
from core.errors import BundleError, ConfigError
from core.inference.aggregation import POOLINGS, Pooling
from core.types import LevelName

if TYPE_CHECKING:
    from core.evaluation.report import EvaluationReport
    from core.evaluation.subgroup_report import Findings
    from core.evaluation.tables.score_table import ScoreTable
    from core.evaluation.tables.truth_table import TruthTable
    from core.evaluation.thresholds import Rule


@app.command()
def evaluate(
    predictions: Annotated[
        Path,
        typer.Argument(
            help="Folder that `predict` wrote, its slices.parquet, or a CSV of another model "
            "(uid, Overall, C1..C7, or row_id, fractured)."
        ),
    ],
    truth: Annotated[Path, typer.Option(help="Data root, truth.parquet or train.csv.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    replicates: Annotated[int, typer.Option(min=1, help="Bootstrap replicates.")] = 1000,
    rule: Annotated[
        str, typer.Option(help="Threshold rule, such as 'highest F1' or 'target sensitivity'.")
    ] = "highest F1",
    asked: Annotated[
        float | None,
        typer.Option(help="Target of the rule, or cost of a miss relative to a false alarm."),
    ] = None,
    sensitivity: Annotated[
        float, typer.Option(help="For the rule 'within limits': least sensitivity.")
    ] = 0.0,
    precision: Annotated[float, typer.Option(help="For the same rule: least precision.")] = 0.0,
    alarms: Annotated[
        float | None,
        typer.Option(help="For the same rule: most false alarms per 100 studies."),
    ] = None,
    prevalence: Annotated[
        float | None,
        typer.Option(help="For the rule 'lowest cost': share of fractured where it is used."),
    ] = None,
    points: Annotated[
        Path | None,
        typer.Option(help="Bundle whose operating points are used, instead of a rule."),
    ] = None,
    chosen_on: Annotated[
        Path | None,
        typer.Option(help="Predictions of other studies, on which thresholds are chosen."),
    ] = None,
    chosen_on_truth: Annotated[
        Path | None, typer.Option(help="Truth of those studies; that of --truth if left out.")
    ] = None,
    pooling: Annotated[str, typer.Option(help=f"Over slices: {', '.join(POOLINGS)}.")] = "mean",
    subgroups: Annotated[
        str | None,
        typer.Option(help="Level whose errors are compared between groups of studies."),
    ] = None,
    attributes: Annotated[
        Path | None,
        typer.Option(help="CSV with StudyInstanceUID and columns that make more such groups."),
    ] = None,
) -> None:
    """Metrics at slice, vertebra and patient level, with 95 % patient-bootstrap intervals."""
    from core.evaluation.report import ChosenOn, evaluate_scores
    from core.evaluation.report_table import render_report
    from core.evaluation.subgroup_report import render_findings
    from core.evaluation.thresholds import Limits

    limits = Limits(sensitivity, precision, alarms)
    chosen_rule = replace(_rule(rule, asked), limits=limits, prevalence=prevalence)
    scores, notes = read_scores(predictions, pooling)
    other = None
    if chosen_on is not None:
        chosen_scores, more = read_scores(chosen_on, pooling)
        other = ChosenOn(chosen_scores, read_truth(chosen_on_truth or truth, chosen_scores))
        notes += more
    known = read_truth(truth, scores)
    report = evaluate_scores(
        scores, known, rule=chosen_rule, chosen_on=other, replicates=replicates,
        thresholds=None if points is None else _points(points),
        points_of="" if points is None else points.name,
    )  # fmt: skip
    findings = None
    if subgroups is not None or attributes is not None:
        level = _level(subgroups or "patient")
        findings = _findings(report, scores, known, level, truth, attributes)
    if as_json:
        found = report.to_json()
        found["notes"] += notes
        if findings is not None:
            found["subgroups"] = findings.to_json()
        typer.echo(json.dumps(found, indent=2, allow_nan=False))
        return
    typer.echo("\n".join([render_report(report), *(f"note: {note}" for note in notes)]))
    if findings is not None:
        typer.echo("\n" + render_findings(findings))


def _findings(
    report: EvaluationReport, scores: ScoreTable, truth: TruthTable, level: LevelName,
    truth_path: Path, added: Path | None,
) -> Findings:  # fmt: skip
    """Subgroups of the evaluated studies at the level's operating point.

    Raises:
        PredictionsError: The input does not support the level.
        DataRootError: The index or the added columns cannot be read.
    """
    from core.config import Settings
    from core.dataset.index import STUDIES_FILE, index_folder
    from core.evaluation.subgroup_report import find_subgroups
    from core.evaluation.subgroups import Calls
    from core.evaluation.tables.evaluation_set import align
    from core.evaluation.tables.known_attributes import (
        FactPlaces,
        added_attributes,
        known_attributes,
    )

    evaluated = align([scores], truth)
    items = evaluated.items(evaluated.models[0].name, level)
    root = truth_path if truth_path.is_dir() else None
    table = None if root is None else index_folder(root, Settings().rsna_cache) / STUDIES_FILE
    known = known_attributes(evaluated.truth, FactPlaces(table, root))
    notes: list[str] = []
    if added is not None:
        more, notes = added_attributes(added, evaluated.truth)
        known += more
    called = items.scores >= report.levels[level].operating_point.threshold
    calls = Calls(items, called, by_vertebra=level == "vertebra")
    return find_subgroups(calls, known, level, notes)


def read_scores(path: Path, pooling: str) -> tuple[ScoreTable, list[str]]:
    """Read a model's scores, and notes about them."""
    from core.evaluation.tables.outside_scores import OUTSIDE_SUFFIXES, read_outside_scores
    from core.evaluation.tables.score_files import read_score_table

    if path.suffix.lower() in OUTSIDE_SUFFIXES:
        found = read_outside_scores(path)
        return found.table, list(found.notes)
    return read_score_table(path, pooling=_pooling(pooling)), []


def read_truth(path: Path, scores: ScoreTable) -> TruthTable:
    """Read the truth of a model's studies, with their masks if it has slices."""
    from core.evaluation.tables.score_files import read_truth_table

    with_slices = scores.study_ids.tolist() if scores.presence is not None else []
    return read_truth_table(path, masks_of=with_slices)


def _points(folder: Path) -> dict[LevelName, float]:
    """The shipped operating points of a bundle, by level.

    Raises:
        BundleError: It cannot be read, or has none.
    """
    from core.models.bundles import read_bundle
    from core.models.operating_points import has_operating_point, operating_point

    bundle = read_bundle(folder)
    found = {
        level: operating_point(bundle, level).threshold
        for level in get_args(LevelName)
        if has_operating_point(bundle, level)
    }
    if not found:
        raise BundleError(f"{folder} has no operating points; leave --points out and give a rule.")
    return found


def _level(name: str) -> LevelName:
    for known in get_args(LevelName):
        if known == name:
            return known
    raise ConfigError(f"{name!r} is not a level; choose one of {', '.join(get_args(LevelName))}.")


def _rule(name: str, asked: float | None) -> Rule:
    from core.evaluation.thresholds import RULE_MEANINGS, Rule

    for known in RULE_MEANINGS:
        if known.lower() == name.strip().lower():
            return Rule(known, asked)
    raise ConfigError(f"{name!r} is not a rule; choose one of {', '.join(RULE_MEANINGS)}.")


def _pooling(name: str) -> Pooling:
    for known in get_args(Pooling):
        if known == name:
            return known
    raise ConfigError(f"{name!r} is not a pooling; choose one of {', '.join(POOLINGS)}.")
