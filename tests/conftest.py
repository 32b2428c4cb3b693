"""Fixtures for every test: the places outside the code, and why a test without one is skipped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scripts.find_chromium import ChromiumMissingError, find_chromium

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The folder of the project."""
    return ROOT


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """`artifacts/`, outside git: screenshots and the like that a person wants to look at later."""
    folder = ROOT / "artifacts"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def real_ct() -> Path:
    """A real scanner series of 65 slices, kept beside the checkout and never copied into it."""
    beside = ROOT.parent / "shared" / "data" / "real_ct" / "alderson_cspine"
    folder = Path(os.environ.get("CSPINE_REAL_CT", beside))
    if not folder.is_dir():
        pytest.skip(
            f"the real CT series is not at {folder}; set CSPINE_REAL_CT to the folder that holds it"
        )
    return folder


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """An installed Chromium; its absence fails under CI, where the browser tests must have run."""
    try:
        return find_chromium()
    except ChromiumMissingError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
