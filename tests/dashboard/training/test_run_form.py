"""The form asks for every field of a run config and gives back the same config."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field

from core.config import RunConfig
from core.errors import ConfigError
from core.training.run_list import list_runs
from core.training.runs import RunFolder
from dashboard.training import run_form
from dashboard.training.form_fields import FIELDS, OTHER, form_fields
from dashboard.training.run_form import (
    ALL_FOLDS,
    NO_FOLD,
    config_from,
    differences,
    fold_choices,
    form_values,
    known_paces,
    value_text,
)


def config(**changes):
    return RunConfig(**({"task": "fracture", "data_root": "/d"} | changes))


def test_every_field_of_a_run_config_is_asked_for_once_and_explained():
    fields = [field for group in FIELDS.values() for field in group]
    assert sorted(field.key for field in fields) == sorted(RunConfig.file_fields())
    unexplained = [field.key for field in fields if not field.help.endswith(".")]
    assert unexplained == []
    assert all(len(field.help) < 120 for field in fields)
    assert OTHER not in FIELDS
    assert [f.key for f in fields if not f.default] == ["task"]


class Grown(RunConfig):
    """A run config with options that the form has never heard of."""

    line_target: Literal["off", "soft"] = Field("off", description="Learn the line itself.")
    spine_crop: bool = False
    crop_mm: int = Field(default=80, gt=10, le=200)
    sharpness: float | None = Field(default=None, ge=0)
    note: str = ""
    weights: tuple[float, ...] = (1.0, 2.0)


def test_a_new_option_stands_on_the_page_as_it_is_declared():
    found = {field.key: field for field in form_fields(Grown)[OTHER]}
    assert list(found) == ["line_target", "spine_crop", "crop_mm", "sharpness", "note", "weights"]
    target = found["line_target"]
    assert (target.label, target.kind, target.choices) == ("Line target", "choice", ("off", "soft"))
    assert target.explanation == "Learn the line itself. Default: off."
    assert (found["spine_crop"].kind, found["spine_crop"].default) == ("switch", "off")
    assert (found["crop_mm"].kind, found["crop_mm"].low, found["crop_mm"].high) == (
        "whole",
        11,
        200,
    )
    assert (found["sharpness"].kind, found["sharpness"].low) == ("number", 0)
    assert found["sharpness"].optional
    assert (found["note"].kind, found["weights"].kind) == ("text", "yaml")


def test_a_field_without_words_has_none():
    (field,) = [f for f in form_fields(Grown)[OTHER] if f.key == "spine_crop"]
    assert field.help == ""


def test_defaults_and_bounds_are_those_of_the_config():
    fields = {field.key: field for group in FIELDS.values() for field in group}
    assert (
        fields["size"].explanation
        == "Side of the square input of the network. Default: 192, or 512 in a config file. "
        "Range: 32 to 1,024."
    )
    assert (fields["size"].low, fields["size"].high) == (32, 1024)
    assert fields["pct_start"].default == "0.3"
    assert "1e-4 for fractures" in fields["max_lr"].explanation
    assert fields["deterministic"].default == "on"
    assert fields["gradient_clip"].explanation.endswith("Default: 1. Range: at least 0.")
    assert fields["field_mm"].explanation.endswith("Default: none. Range: 20 to 400.")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"fold": "all"},
        {"fold": None},
        {"fold": 3, "max_lr": 2e-4, "vertebra_bundle": "/bundles/v"},
        {"task": "vertebra", "type": 2, "channels": "windows", "backbone": "googlenet"},
    ],
)
def test_a_config_survives_the_form(changes):
    assert config_from(form_values(config(**changes))) == config(**changes)


def test_a_config_with_options_of_every_kind_survives_the_form(monkeypatch):
    monkeypatch.setattr(run_form, "FIELDS", form_fields(Grown))
    monkeypatch.setattr(run_form, "RunConfig", Grown)
    config = Grown(task="fracture", data_root="/d", weights=(0.5,), sharpness=0.25, note="a: b")
    values = form_values(config)
    assert values["weights"] == "[0.5]"
    assert config_from(values) == config
    assert config_from(values | {"weights": "[1, 2]"}).weights == (1.0, 2.0)
    with pytest.raises(ConfigError, match=r"Weights: .*not one YAML value"):
        config_from(values | {"weights": "[1, 2"})


def test_folds_are_offered_one_by_one_together_and_not_at_all():
    assert fold_choices(3) == (0, 1, 2, ALL_FOLDS, NO_FOLD)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_root": ""}, "Data root is empty"),
        ({"size": 5}, "Input size"),
        ({"task": "vertebra", "type": 3}, "the type of Vertebra detection is 1 or 2"),
        ({"folds": 2, "fold": 4}, "fold must be below folds"),
    ],
)
def test_values_that_do_not_fit_are_named_as_the_page_names_them(changes, message):
    with pytest.raises(ConfigError, match=message):
        config_from(form_values(config()) | changes)


def test_only_what_differs_tells_runs_apart(tmp_path):
    for name, lr in (("a", 1e-3), ("b", None)):
        RunFolder(tmp_path / name).start(config(max_lr=lr), resume=False)
    table = differences(list_runs(tmp_path))
    assert list(table.index) == ["Peak learning rate"]
    assert table.loc["Peak learning rate"].to_dict() == {"a": "0.001", "b": "none"}


@pytest.mark.parametrize(
    ("value", "words"),
    [(True, "on"), (False, "off"), (None, "none"), ("", "none"), (0.00026713837, "0.0002671"),
     (64, "64"), ("adamw", "adamw")],
)  # fmt: skip
def test_values_of_settings_are_in_words(value, words):
    assert value_text(value) == words


def test_no_runs_differ_in_nothing():
    assert differences([]).empty


def test_paces_come_from_runs_that_trained(tmp_path):
    for name in ("trained", "untrained"):
        RunFolder(tmp_path / name).start(config(size=192), resume=False)
    RunFolder(tmp_path / "trained").append_metrics("step", step=10, images_per_second=40.0)
    (pace,) = known_paces(list_runs(tmp_path))
    assert (pace.backbone, pace.size, pace.images_per_second) == ("mobilenet_v3_large", 192, 40.0)
