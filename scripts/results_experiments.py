"""Tables of the experiments, for docs/results.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.experiments.ablations import load_experiments
from core.experiments.abstention_measures import MEASURED_FILE
from core.experiments.cohorts import FOLDS, HELD_OUT
from core.experiments.type_comparison import TYPES_FILE
from core.models.bundles import EXPERIMENTS_FOLDER, list_bundles

LEVELS = ("presence", "slice", "vertebra", "patient")


def experiment_tables(checkpoints: Path) -> str:
    """Tables of the shipped types, then of every experiment.

    Args:
        checkpoints: Folder of the bundles.
    """
    folder = checkpoints / EXPERIMENTS_FOLDER
    types = json.loads((folder / TYPES_FILE).read_text())["results"]
    parts = [_types(types)]
    for name in load_experiments():
        file = folder / f"{name}.json"
        if file.is_file():
            parts.append(_experiment(json.loads(file.read_text())))
    return "\n\n".join(parts)


def _types(found: Mapping[str, Any]) -> str:
    rows = ["### The shipped types, paired over the same patients", ""]
    for cohort, title in ((HELD_OUT.table, "held out"), (FOLDS.table, "out of fold")):
        rows += [
            f"| {title} | level | AUC | minus Type 1 |",
            "|---|---|---|---|",
        ]
        for level, figures in found[cohort].items():
            rows += [
                f"| {name} | {level} | {_auc(figure)} | {_difference(figure)} |"
                for name, figure in figures.items()
            ]
        rows.append("")
    return "\n".join(rows).rstrip()


def _experiment(found: Mapping[str, Any]) -> str:
    seeds = len(found["seeds"])
    levels = [
        level for level in LEVELS if level in next(iter(found["results"].values()))["figures"]
    ]
    again = "" if seeds == 1 else f" A mean of {seeds} runs; ± is their standard deviation."
    heads = [f"{level} AUC" for level in levels]
    run = found["run"]
    rows = [
        f"### {found['title']}",
        "",
        f"{found['question']} Type {run['type']}, {run['size']} pixels, batches of "
        f"{run['batch_size']}, {found['slices_per_study']} slices of each held-out study."
        f"{again}",
        "",
        f"| arm | weights | batches | {' | '.join(heads)} | "
        f"vertebra AUC minus {found['baseline']} |",
        f"|---|---|---|{'---|' * len(levels)}---|",
    ]
    for name, arm in found["results"].items():
        steps = "–".join(str(n) for n in sorted({min(arm["steps"]), max(arm["steps"])}))
        cells = [_auc(arm["figures"][level]) for level in levels]
        cells.append(_difference(arm["figures"]["vertebra"]))
        weights = f"{arm['parameters'] / 1e6:.1f} M"
        rows.append(f"| {name} | {weights} | {steps} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _auc(figure: Mapping[str, Any]) -> str:
    spread = "" if figure["run_sd"] is None else f" ± {figure['run_sd']:.3f}"
    return f"{figure['auc']:.3f}{spread}{_range(figure['low'], figure['high'])}"


def _difference(figure: Mapping[str, Any]) -> str:
    if figure["difference"] == 0 and figure["difference_low"] in (0, None):
        return "–"
    return (
        f"{figure['difference']:+.3f}"
        f"{_range(figure['difference_low'], figure['difference_high'], '+')}"
    )


def _range(low: float | None, high: float | None, sign: str = "") -> str:
    if low is None or high is None:
        return ""
    middle = " to " if sign else "–"
    return f" ({low:{sign}.3f}{middle}{high:{sign}.3f})"


def abstention_table(checkpoints: Path) -> str:
    """Limits of every bundle, then what the default networks do on fresh studies.

    Args:
        checkpoints: Folder of the bundles.
    """
    rows = [
        "| bundle | reference studies | distribution limit | fractured from | not fractured to |",
        "|---|---|---|---|---|",
    ]
    for bundle in list_bundles(checkpoints):
        if bundle.config.gives_labels:
            continue
        reference, region = bundle.reference, bundle.region
        seen = ("–", "–") if reference is None else (
            str(reference.studies), f"{reference.distance:.3f}"
        )  # fmt: skip
        answers = ("–", "–") if region is None else (
            f"{region.fractured_from:.3f}", f"{region.not_fractured_to:.3f}"
        )  # fmt: skip
        rows.append(f"| {' | '.join((bundle.config.name, *seen, *answers))} |")
    file = checkpoints / EXPERIMENTS_FOLDER / MEASURED_FILE
    if not file.is_file():
        return "\n".join(rows)
    rows += [
        "",
        "| cohort | studies | out of distribution | implausible levels | uncertain | certain, "
        "right | region covers the truth | … of fractured | … of not fractured |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_abstention_row(one) for one in json.loads(file.read_text())["cohorts"]),
    ]
    return "\n".join(rows)


def _abstention_row(found: Mapping[str, Any]) -> str:
    n, positive = found["studies"], found["fractured"]
    refused = found["out_of_distribution"]
    cells = [
        found["cohort"], str(n), "–" if refused is None else f"{refused} ({refused / n:.1%})",
        str(found["implausible_levels"]), str(found["uncertain"]),
        f"{found['certain_and_right']} of {found['certain']}",
        f"{found['covered']} of {n} ({found['covered'] / n:.1%})",
        f"{found.get('covered_fractured', 0)} of {positive}",
        f"{found.get('covered_not_fractured', 0)} of {n - positive}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"
