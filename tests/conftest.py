"""Fixtures and markers for every test: places outside the code, what runs in one process."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from scripts.find_chromium import ChromiumMissingError, find_chromium

# One thread in each process, before torch or BLAS starts; the processes share the cores.
for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any-machine")

ROOT = Path(__file__).resolve().parent.parent

LONGEST_FIRST = (
    "tests/browser/",
    "tests/core/training/",
    "tests/server/",
    "tests/dashboard/",
    "tests/core/experiments/",
    "tests/faults/",
    "tests/core/cli/",
    "tests/robustness/",
)
"""Folders whose tests take longest; they are handed out in this order, all others after them."""
ONE_PROCESS = ("tests/browser/", "tests/server/")
"""Folders whose servers and browser are started once: their tests run in the same process."""
SERVER_FIXTURES = {
    "cluster", "dashboard_url", "lab_server", "login_server", "open_server", "scene_url",
}  # fmt: skip


class OneProcess(LoadFileScheduling):
    """Hands out whole files, and whole folders where their tests share a server.

    xdist's groups (`--dist loadgroup`) rename node ids, which pytest 9.2 does not allow any more.
    """

    def _split_scope(self, nodeid: str) -> str:
        folders = (folder for folder in ONE_PROCESS if nodeid.startswith(folder))
        return next(folders, super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneProcess | None:
    """Take the place of xdist's `loadfile`."""
    return OneProcess(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what each test needs and put the longest first."""
    for item in items:
        if item.nodeid.startswith("tests/browser/"):
            item.add_marker(pytest.mark.browser)
        fixtures = set(getattr(item, "fixturenames", ()))
        if item.nodeid.startswith("tests/server/") or fixtures & SERVER_FIXTURES:
            item.add_marker(pytest.mark.server)
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    longest = (i for i, place in enumerate(LONGEST_FIRST) if item.nodeid.startswith(place))
    return next(longest, len(LONGEST_FIRST))


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
def real_mask() -> Path:
    """A real vertebra mask (VerSe), kept beside the checkout and never copied into it."""
    beside = ROOT.parent / "shared" / "data" / "real_mask" / "verse_gl003_seg.nii.gz"
    file = Path(os.environ.get("CSPINE_REAL_MASK", beside))
    if not file.is_file():
        pytest.skip(f"the real mask is not at {file}; set CSPINE_REAL_MASK to it")
    return file


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """An installed Chromium; its absence fails under CI, where the browser tests must have run."""
    try:
        return find_chromium()
    except ChromiumMissingError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
