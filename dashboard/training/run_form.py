"""Conversion between the training form and a run config, and facts of earlier runs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import count
from typing import Any, Final

import pandas as pd
import yaml
from pydantic import ValidationError

from core.config import RunConfig
from core.errors import ConfigError
from core.training.run_list import RunSummary, read_metrics
from core.training.schedule import Pace
from dashboard.training.form_fields import FIELDS, FormField

ALL_FOLDS: Final = "all, one after another"
NO_FOLD: Final = "none, train on every study"
TEXTS: Final = ("text", "data_root", "bundle")
"""Kinds of fields with a text widget."""


def fold_choices(folds: int) -> tuple[int | str, ...]:
    """Choices of the held-out fold: one of the folds, all in turn, or none."""
    return (*range(folds), ALL_FOLDS, NO_FOLD)


def form_values(config: RunConfig) -> dict[str, Any]:
    """Values of the form's widgets for a config."""
    plain = config.model_dump(mode="json")
    values = dict(config.model_dump())
    for field in _all_fields():
        if field.kind == "yaml":
            values[field.key] = json.dumps(plain[field.key])  # JSON is YAML, and has no "..." line.
        elif field.kind in TEXTS:
            values[field.key] = plain[field.key] or ""
    if not isinstance(config.fold, int):
        values["fold"] = ALL_FOLDS if config.fold == "all" else NO_FOLD
    return values


def config_from(values: Mapping[str, Any]) -> RunConfig:
    """Make a config from the values of the widgets.

    Raises:
        ConfigError: Values are out of range or contradict each other; the first is named.
    """
    given = {field.key: _field_value(field, values[field.key]) for field in _all_fields()}
    given["fold"] = {ALL_FOLDS: "all", NO_FOLD: None}.get(given["fold"], given["fold"])
    if not given["data_root"]:
        raise ConfigError("Data root is empty; give a folder in RSNA's layout.")
    try:
        return RunConfig(**given)
    except ValidationError as error:
        first = error.errors()[0]
        key = next((str(part) for part in first["loc"] if part != "preparation"), "")
        where = label_of(key) + ": " if key else ""
        problem = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{where}{problem}; correct that value.") from error


def usual_name(config: RunConfig, taken: Collection[str]) -> str:
    """A name for a run of this config, with a number if another run has it.

    Args:
        config: Config of the run.
        taken: Names of other runs.
    """
    fold = f"fold {config.fold} held out"
    if not isinstance(config.fold, int):
        fold = "all folds" if config.fold == "all" else "no fold held out"
    plain = f"{config.facts.title_of(config.type)} · {config.backbone} · {fold}"
    names = (plain if number == 1 else f"{plain} ({number})" for number in count(1))
    return next(name for name in names if name not in taken)


def labels_of(runs: Sequence[RunSummary]) -> dict[str, str]:
    """Names of runs by run id; the id follows a name that several have."""
    times = Counter(run.name for run in runs)
    return {
        run.run_id: run.name if times[run.name] == 1 else f"{run.name} ({run.run_id})"
        for run in runs
    }


def _all_fields() -> Iterable[FormField]:
    return (field for group in FIELDS.values() for field in group)


def _field_value(field: FormField, value: Any) -> Any:  # noqa: ANN401 - a widget's value
    if field.kind == "yaml":
        try:
            return yaml.safe_load(value or "null")
        except yaml.YAMLError as error:
            raise ConfigError(
                f"{field.label}: {value!r} is not one YAML value; correct its brackets or quotes."
            ) from error
    return None if field.kind in TEXTS and field.optional and not value else value


def label_of(key: str) -> str:
    """The label of a config key."""
    return next((field.label for field in _all_fields() if field.key == key), key)


def differences(runs: Sequence[RunSummary]) -> pd.DataFrame:
    """Settings that differ between runs: one row per setting, one column per run."""
    labels = labels_of(runs)
    configs = {labels[r.run_id]: form_values(r.config) for r in runs if r.config is not None}
    # As text, because pandas would take the value None for a missing one.
    table = pd.DataFrame(
        {run: {key: str(value) for key, value in values.items()} for run, values in configs.items()}
    )
    if table.empty:
        return table
    differing = table.index[table.nunique(axis=1) > 1]
    return pd.DataFrame(
        {run: [value_text(values[key]) for key in differing] for run, values in configs.items()},
        index=[label_of(key) for key in differing],
    )


def value_text(value: object) -> str:
    """A setting's value in words."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "none" if value in (None, "") else str(value)


def known_paces(runs: Iterable[RunSummary], measured: Iterable[Pace] = ()) -> list[Pace]:
    """Images per second of earlier runs, the most recent first, then `measured`."""
    paces: list[Pace] = []
    for run in runs:
        if run.config is None:
            continue
        steps = read_metrics(run.folder, "step")
        if "images_per_second" in steps and len(steps):
            speed = float(steps["images_per_second"].iloc[-1])
            known = "loader_wait_share" in steps
            waits = float(steps["loader_wait_share"].iloc[-1]) if known else 0.0
            config = run.config
            paces.append(
                Pace(
                    config.backbone,
                    config.preparation.size,
                    config.precision,
                    speed,
                    waits,
                )
            )
    return [*paces, *measured]
