"""The command that combines models: weights given or fitted, judged, and saved as a bundle."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.common import app
from core.cli.evaluation import read_scores, read_truth
from core.config import Settings
from core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.evaluation.built_ensemble import BuiltEnsemble
    from core.evaluation.comparison import PairComparison
    from core.evaluation.tables.evaluation_set import EvaluationSet
    from core.models.bundles import BundleInfo
    from core.types import LevelName

_NAME = "ensemble"


@app.command()
def ensemble(
    models: Annotated[
        list[Path],
        typer.Argument(
            help="Two or more bundles, fitted on their out-of-fold predictions and judged on their "
            "held-out ones; or with --truth tables of scores, as `evaluate` takes them."
        ),
    ],
    truth: Annotated[
        Path | None, typer.Option(help="Data root, truth.parquet or train.csv of the tables.")
    ] = None,
    method: Annotated[str, typer.Option(help="log-odds, rank (means) or stacking.")] = "log-odds",
    weights: Annotated[
        str, typer.Option(help="Weights of a mean, like 0.5,0.3,0.2; fitted if left out.")
    ] = "",
    any_sign: Annotated[
        bool, typer.Option(help="Let the stacking give a model a negative weight.")
    ] = False,
    folds: Annotated[int, typer.Option(min=2, help="Folds of the fit, by study.")] = 5,
    bundle: Annotated[
        list[Path] | None,
        typer.Option(help="For tables and --out: the bundle behind each table, in their order."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="New folder to save the ensemble in, for predict --bundle."),
    ] = None,
    replicates: Annotated[int, typer.Option(min=1, help="Bootstrap replicates.")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Combine models, and compare the ensemble with each of them."""
    from core.evaluation.built_ensemble import EnsembleChoice, build_ensemble

    choice = EnsembleChoice(_method(method), _weights(weights), not any_sign, folds)
    inputs = _of_tables(models, truth, bundle or []) if truth else _of_bundles(models)
    built = build_ensemble(out.name if out else _NAME, inputs.fit_on, inputs.judge_on, choice)
    compared = built.comparisons(replicates=replicates)
    if out is not None:
        _save(out, built, inputs, replicates)
    if as_json:
        typer.echo(json.dumps(_to_json(built, compared), indent=2, allow_nan=False))
        return
    typer.echo("\n".join(_lines(built, compared)))
    if out is not None:
        typer.echo(f"Saved; use it with: python -m core predict STUDY --bundle {out}")


@dataclass(frozen=True, slots=True, eq=False)
class _Inputs:
    """Models on the studies of the fit and of the judgement, and their bundles."""

    fit_on: EvaluationSet
    judge_on: EvaluationSet | None
    members: tuple[BundleInfo, ...]
    about: tuple[str, str]
    shipped: bool


def _of_bundles(folders: Sequence[Path]) -> _Inputs:
    from core.experiments.cohorts import FOLDS, HELD_OUT
    from core.experiments.ensemble_bundles import cohort_scores
    from core.models.bundles import read_bundle

    members = tuple(map(read_bundle, folders))
    checkpoints = Settings().checkpoints
    fit_on, judge_on = (cohort_scores(members, checkpoints, c) for c in (FOLDS, HELD_OUT))
    about = (f"{FOLDS.title}, {fit_on.truth.n_studies} studies", HELD_OUT.title)
    return _Inputs(fit_on, judge_on, members, about, shipped=True)


def _of_tables(tables: Sequence[Path], truth: Path, bundles: Sequence[Path]) -> _Inputs:
    from core.evaluation.tables.evaluation_set import align
    from core.models.bundles import read_bundle

    if bundles and len(bundles) != len(tables):
        raise ConfigError(
            f"{len(bundles)} bundles do not fit {len(tables)} tables; give --bundle for each."
        )
    scores = [read_scores(table, "mean")[0] for table in tables]
    evaluated = align(scores, read_truth(truth, scores[0]))
    members = tuple(map(read_bundle, bundles))
    about = f"{truth.name}, {evaluated.truth.n_studies} studies"
    return _Inputs(evaluated, None, members, (about, about), shipped=False)


def _save(out: Path, built: BuiltEnsemble, inputs: _Inputs, replicates: int) -> None:
    from core.experiments.ensemble_bundles import NewEnsemble, cohort_tables, save_ensemble

    if not inputs.members:
        raise ConfigError(
            "An ensemble of tables is saved with its bundles; give --bundle for each."
        )
    new = NewEnsemble(
        built, inputs.members, Settings().checkpoints, inputs.about,
        synthetic=True if inputs.shipped else None,
        tables=cohort_tables(built) if inputs.shipped else {},
    )  # fmt: skip
    save_ensemble(out, new, replicates=replicates)


def _lines(
    built: BuiltEnsemble, compared: Mapping[LevelName, Sequence[PairComparison]]
) -> list[str]:
    from core.evaluation.curves import threshold_counts
    from core.models.ensemble_recipe import METHOD_NAMES

    combination = built.combination
    names = [model.name for model in built.chosen_on.models if model.name != built.name]
    weights = ", ".join(
        f"{name} {w:.3f}" for name, w in zip(names, combination.weights, strict=True)
    )
    if combination.intercept:
        weights += f", intercept {combination.intercept:.3f}"
    lines = [
        f"{METHOD_NAMES[combination.method]}, weights {built.weights_from}: {weights}",
        built.judged_as,
        "AUC of the ensemble minus that of each model, with the 95 % interval; p by DeLong's test, "
        "adjusted over the models by Holm's method.",
    ]
    for level, pairs in compared.items():
        items = built.judged.items(built.name, level)
        auc = threshold_counts(items.scores, items.truth).auc()
        lines += ["", f"{level}: AUC {'undefined' if auc is None else format(auc, '.3f')}"]
        width = max(len(pair.second) for pair in pairs)
        lines += [f"  {pair.second:<{width}}  {_difference(pair)}" for pair in pairs]
    return lines


def _difference(pair: PairComparison) -> str:
    found = pair.delong
    if found is None:
        return "too few patients of one class"
    return (
        f"{found.difference:+.3f} ({found.low:+.3f} to {found.high:+.3f})  "
        f"p {_p(found.p_value)}, adjusted {_p(pair.delong_adjusted_p)}"
    )


def _p(value: float | None) -> str:
    return "undefined" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _to_json(
    built: BuiltEnsemble, compared: Mapping[LevelName, Sequence[PairComparison]]
) -> dict[str, Any]:
    combination = built.combination
    return {
        "method": combination.method,
        "models": [m.name for m in built.chosen_on.models if m.name != built.name],
        "weights": list(combination.weights),
        "intercept": combination.intercept,
        "fold_weights": None if built.fold_weights is None else built.fold_weights.tolist(),
        "weights_from": built.weights_from,
        "judged": built.judged_as,
        "operating_points": built.operating_points(),
        "levels": built.figures(compared),
    }


def _method(name: str) -> Any:  # noqa: ANN401 - a literal that the caller checks
    from core.models.ensemble_recipe import METHODS

    wanted = name.strip().lower().replace("-", "_")
    if wanted not in METHODS:
        raise ConfigError(f"{name!r} is not a method; choose log-odds, rank or stacking.")
    return wanted


def _weights(text: str) -> tuple[float, ...] | None:
    if not text:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(
            f"{text!r} are not weights; write a number for each model, like 0.5,0.3,0.2."
        ) from error
