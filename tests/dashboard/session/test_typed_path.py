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
    ("text", "said"),
    [
        ("~nobody-of-this-name/ct", "~nobody-of-this-name is no user's folder"),
        ("/data/" + "a" * 300, "longer than there can be"),
        ("/data/" + "ä" * 130, "longer than there can be"),
        ("/a" * 3000, "longer than there can be"),
        ("/data/\ud800", "no path"),
    ],
)
def test_what_no_file_can_be_called_is_one_sentence(text, said):
    with pytest.raises(DataRootError, match=said):
        typed_path(text)
