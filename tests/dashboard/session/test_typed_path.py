"""A typed path is a path below BROWSE_ROOTS or one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.errors import DataRootError
from dashboard.session.typed_path import browsable, typed_path


@pytest.fixture
def roots(tmp_path, monkeypatch):
    """Two folders that may be browsed, the second a link to another one; the home is the first."""
    data, linked = tmp_path / "data", tmp_path / "linked"
    (data / "with space").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    linked.symlink_to(tmp_path / "elsewhere")
    monkeypatch.setenv("BROWSE_ROOTS", f"{data}{os.pathsep}{linked}")
    monkeypatch.setenv("HOME", str(data))
    return data


@pytest.mark.parametrize("text", ["", "  ", "\0", "''"])
def test_nothing_typed_is_no_path(text):
    assert typed_path(text) is None


def test_quotes_and_what_no_path_holds_are_left_out(roots):
    for text, path in (
        (str(roots), roots),
        (f' "{roots}/with space" ', roots / "with space"),
        (f"{roots}/\0ct", roots / "ct"),
        ("~", roots),
        ("~/ct", roots / "ct"),
        (f"{roots}/a/../ct/.", roots / "ct"),
    ):
        assert typed_path(text) == path


def test_a_dot_is_the_folder_that_it_stands_for(roots, monkeypatch):
    monkeypatch.chdir(roots / "with space")
    assert typed_path(".") == roots / "with space"
    assert typed_path("..") == roots


def test_links_are_followed_before_the_folder_is_compared(roots, tmp_path):
    assert typed_path(f"{tmp_path}/linked/ct") == tmp_path / "elsewhere" / "ct"
    (roots / "out").symlink_to(tmp_path)
    (roots / "loop").symlink_to(roots / "loop")
    assert typed_path(f"{roots}/loop") == roots / "loop"
    with pytest.raises(DataRootError, match="BROWSE_ROOTS"):
        typed_path(f"{roots}/out")


def test_outside_the_answer_is_the_same_whether_a_path_exists_or_not(roots, tmp_path):
    (tmp_path / "data-of-others").mkdir()
    typed = [
        "/", "/etc", "/etc/passwd", "/etc/none", "/none/of/these", "/root/.ssh", "~root",
        "~nobody-x", "~nobody-x/ct", ".", "..", f"{roots}/..", f"{roots}/../none",
        str(tmp_path / "data-of-others"), str(tmp_path / "data-of-nobody"),
        f"{roots}/../../../../etc/passwd",
    ]  # fmt: skip
    answers = set()
    for text in typed:
        with pytest.raises(DataRootError) as caught:
            typed_path(text)
        answers.add(str(caught.value))
    assert len(answers) == 1
    assert "BROWSE_ROOTS" in answers.pop()


def test_by_default_the_data_root_and_var_may_be_browsed(tmp_path, monkeypatch):
    monkeypatch.delenv("BROWSE_ROOTS", raising=False)
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("RSNA_ROOT", str(tmp_path / "rsna"))
    for inside in (tmp_path / "var" / "x", tmp_path / "rsna", tmp_path / "rsna" / "train_images"):
        assert typed_path(str(inside)) == inside
    with pytest.raises(DataRootError, match="BROWSE_ROOTS"):
        typed_path(str(tmp_path))


def test_offered_folders_need_no_root(roots, tmp_path):
    assert browsable(tmp_path / "models" / "x", offered=[tmp_path / "models"]).name == "x"
    with pytest.raises(DataRootError, match="BROWSE_ROOTS"):
        browsable(tmp_path / "models" / "..", offered=[tmp_path / "models"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/data/" + "a" * 300, "characters is too long"),
        ("/data/" + "ä" * 130, "characters is too long"),
        ("/a" * 3000, "characters is too long"),
        ("/data/\ud800", "is not a path"),
    ],
)
def test_an_impossible_path_is_one_sentence(text, message):
    with pytest.raises(DataRootError, match=message):
        typed_path(text)


def test_the_root_itself_is_no_crash(monkeypatch):
    monkeypatch.setenv("BROWSE_ROOTS", "/")
    assert typed_path("/") == Path("/")
