"""The form asks for every field of a run config and gives back the same config."""

from __future__ import annotations

import pytest

from core.config import RunConfig
from core.errors import ConfigError
from core.training.run_list import list_runs
from core.training.runs import RunFolder
from dashboard.form_fields import FIELDS
from dashboard.run_form import (
    ALL_FOLDS,
    NO_FOLD,
    config_from,
    differences,
    fold_choices,
    form_values,
    known_paces,
)


def config(**changes):
    return RunConfig(**({"task": "fracture", "data_root": "/d"} | changes))


def test_every_field_of_a_run_config_is_asked_for_once_and_explained():
    fields = [field for group in FIELDS.values() for field in group]
    assert sorted(field.key for field in fields) == sorted(RunConfig.model_fields)
    assert all(field.help.endswith(".") and len(field.help) < 120 for field in fields)


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


def test_folds_are_offered_one_by_one_together_and_not_at_all():
    assert fold_choices(3) == (0, 1, 2, ALL_FOLDS, NO_FOLD)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_root": ""}, "Data root is empty"),
        ({"size": 5}, "Input size"),
        ({"task": "vertebra", "type": 3}, "Types 1 and 2 only"),
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
    assert table.loc["Peak learning rate", "a"] == "0.001"


def test_no_runs_differ_in_nothing():
    assert differences([]).empty


def test_paces_come_from_runs_that_trained(tmp_path):
    for name in ("trained", "untrained"):
        RunFolder(tmp_path / name).start(config(size=192), resume=False)
    RunFolder(tmp_path / "trained").append_metrics("step", step=10, images_per_second=40.0)
    (pace,) = known_paces(list_runs(tmp_path))
    assert (pace.backbone, pace.size, pace.images_per_second) == ("mobilenet_v3_large", 192, 40.0)
