from __future__ import annotations

import pytest

from core.config import Settings
from core.errors import BundleError, ConfigError, PredictionsError, TaskError, TrainingError
from dashboard.background import process_tasks
from dashboard.evaluation import imports, operating_points
from dashboard.session import access
from dashboard.session.roles import RoleRules, role_rules
from dashboard.studies import data_sets
from dashboard.training import run_processes


def rules(operators: str = "", viewers: str = "") -> RoleRules:
    return role_rules(Settings(dashboard_operators=operators, dashboard_viewers=viewers))


@pytest.mark.parametrize(
    ("rule", "identity", "fits"),
    [
        ("a@b.c", {"email": "A@B.C"}, True),
        ("a@b.c", {"email": "aa@b.c"}, False),
        ("a@b.c", {"email": "a@b.c", "email_verified": False}, False),
        ("a@b.c", {"email": "a@b.c", "email_verified": "false"}, False),
        ("@b.c", {"email": "x@b.c"}, True),
        ("@b.c", {"email": "x@sub.b.c"}, False),
        ("@b.c", {"email": "@b.c"}, False),
        ("@b.c", {"email": "x@evil@b.c"}, True),
        ("@b.c", {}, False),
        ("groups=one", {"groups": ["two", "one"]}, True),
        ("groups=one", {"groups": "one"}, True),
        ("groups=one", {"groups": "one two"}, False),
        ("groups=one", {"groups": None}, False),
        ("sub=0=1", {"sub": "0=1"}, True),
        ("*", {}, True),
    ],
)
def test_a_rule_fits_or_does_not(rule, identity, fits):
    assert (rules(viewers=rule).role_of(identity) == "viewer") is fits
    assert (rules(operators=rule).role_of(identity) == "operator") is fits


def test_the_higher_role_wins_and_no_rule_lets_nobody_in():
    both = rules("chief@b.c", "*")
    assert both.role_of({"email": "chief@b.c"}) == "operator"
    assert both.role_of({"email": "other@b.c"}) == "viewer"
    assert rules().role_of({"email": "chief@b.c"}) is None


@pytest.mark.parametrize("text", ["chief", "a b@c", "=x", "a@b, nonsense"])
def test_a_rule_without_shape_is_named(text):
    with pytest.raises(ConfigError, match="DASHBOARD_OPERATORS holds"):
        rules(operators=text)


@pytest.fixture
def viewer(monkeypatch):
    monkeypatch.delenv("DASHBOARD_READONLY", raising=False)
    monkeypatch.setenv("DASHBOARD_VIEWERS", "*")
    monkeypatch.setattr(access, "login_is_on", lambda: True)
    monkeypatch.setattr(access, "identity", lambda: {"email": "a@b.c", "is_logged_in": True})


def test_a_viewer_changes_nothing_even_past_the_buttons(viewer, tmp_path, monkeypatch):
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path))
    settings = Settings()
    attempts = [
        (TrainingError, lambda: run_processes.start_run(None)),
        (TaskError, lambda: process_tasks.start_index(tmp_path)),
        (TaskError, lambda: process_tasks._start("phantom", tmp_path, [])),
        (TaskError, lambda: data_sets.remove_cohort(None)),
        (BundleError, lambda: operating_points.undo_point(None, "patient")),
        (PredictionsError, lambda: imports.import_csv(settings, "m", b"", truth_id="")),
        (PredictionsError, lambda: imports.forget_import(settings, "m")),
    ]  # fmt: skip
    for error, attempt in attempts:
        with pytest.raises(error, match="Your account has read access only"):
            attempt()
    assert list(tmp_path.iterdir()) == []


def test_an_operator_of_a_read_only_dashboard_changes_nothing_but_may_browse(viewer, monkeypatch):
    assert (access.may_change(), access.may_browse()) == (False, False)
    monkeypatch.setenv("DASHBOARD_OPERATORS", "a@b.c")
    assert (access.may_change(), access.may_browse()) == (True, True)
    monkeypatch.setenv("DASHBOARD_READONLY", "1")
    assert (access.may_change(), access.may_browse()) == (False, True)
    assert access.refusal("to train") == (
        "This dashboard is read-only; unset DASHBOARD_READONLY to train."
    )


def test_outside_a_page_nobody_is_logged_in(monkeypatch):
    monkeypatch.setattr(access, "login_is_on", lambda: True)
    assert access.role() is None
    assert not access.may_change()
