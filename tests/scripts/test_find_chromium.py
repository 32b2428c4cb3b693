"""The browser that CHROMIUM names goes before those installed, and its absence is one sentence."""

from __future__ import annotations

import pytest

from scripts.find_chromium import ChromiumMissingError, find_chromium


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A search path with two browsers on it."""
    for name in ("chrome", "chromium-browser"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM", raising=False)
    return tmp_path


def test_the_named_one_goes_first(programs, monkeypatch):
    assert find_chromium() == str(programs / "chromium-browser")
    monkeypatch.setenv("CHROMIUM", str(programs / "chrome"))
    assert find_chromium() == str(programs / "chrome")


@pytest.mark.parametrize("named", [None, "/nowhere/chromium"])
def test_none_is_said_in_one_sentence(programs, monkeypatch, named):
    if named is None:
        monkeypatch.setenv("PATH", "/nowhere")
    else:
        monkeypatch.setenv("CHROMIUM", named)
    with pytest.raises(ChromiumMissingError, match="install it or set CHROMIUM"):
        find_chromium()
