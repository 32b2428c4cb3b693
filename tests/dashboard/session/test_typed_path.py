"""A typed path is a path or one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import DataRootError
from dashboard.session.typed_path import typed_path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", None), ("  ", None), ("\0", None), ("''", None),
        ("/data/ct", Path("/data/ct")),
        (' "/data/with space/ct" ', Path("/data/with space/ct")),
        ("/data/\0ct", Path("/data/ct")),
        ("~", Path.home()),
    ],
)  # fmt: skip
def test_quotes_and_what_no_path_holds_are_left_out(text, path):
    assert typed_path(text) == path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("~nobody-of-this-name/ct", "~nobody-of-this-name is not the folder of a user"),
        ("/data/" + "a" * 300, "characters is too long"),
        ("/data/" + "ä" * 130, "characters is too long"),
        ("/a" * 3000, "characters is too long"),
        ("/data/\ud800", "is not a path"),
    ],
)
def test_an_impossible_path_is_one_sentence(text, message):
    with pytest.raises(DataRootError, match=message):
        typed_path(text)
