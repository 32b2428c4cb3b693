"""Requirements: every pin has its use, every import its pin, and the locks hold them all."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from scripts.freeze import LOCKS, PLATFORM_SPECIFIC, requirements
from tests.test_house import SOURCES, python_files

NOT_IMPORTED = {
    "authlib": "Streamlit's login imports it",
    "bokeh": "its scripts are served to the second renderer's page, found by its folder",
    "httpx": "Streamlit's login and starlette's test client import it",
    "import-linter": "a command line tool",
    "mlflow": "a server that tests start, in an environment of its own",
    "mutmut": "a command line tool",
    "onnxscript": "torch imports it to export ONNX",
    "pip-audit": "a command line tool",
    "pre-commit": "a command line tool",
    "pyright": "a command line tool",
    "pytest-cov": "a plug-in of pytest",
    "pytest-timeout": "a plug-in of pytest",
    "pytest-xdist": "a plug-in of pytest",
    "python-gdcm": "a plug-in of pydicom, the peer of the benchmarks",
    "ruff": "a command line tool",
    "stpyvista": "a component that Streamlit registers from its manifest; it is mounted by name",
}
"""Pins that no file imports, each with what uses it."""


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "constraints.txt"])
def test_every_requirement_is_pinned_exactly(repo_root: Path, name: str) -> None:
    lines = [
        line
        for line in (repo_root / name).read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    assert lines
    pin = re.compile(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[0-9][0-9a-z.]*")
    assert [line for line in lines if not pin.fullmatch(line)] == []


def test_constraints_hold_every_requirement_at_its_pin(repo_root: Path) -> None:
    def versions(name: str) -> dict[str, str]:
        listed = requirements((repo_root / name).read_text(encoding="utf-8"))
        return {canonicalize_name(r.name): str(r.specifier) for r in listed}

    constraints = versions("constraints.txt")
    direct = versions("requirements.txt") | versions("requirements-dev.txt")
    assert direct.items() <= constraints.items()
    assert [name for name in constraints if PLATFORM_SPECIFIC.match(name)] == []


@pytest.mark.slow
def test_every_pin_is_imported_or_has_its_reason(repo_root: Path) -> None:
    imported = imported_names(repo_root, SOURCES)
    pins = pinned(repo_root.glob("requirements*.txt"))
    idle = {name for name in pins if not packages_of().get(name, set()) & imported}
    assert idle - set(NOT_IMPORTED) == set()
    assert set(NOT_IMPORTED) - pins == set()


@pytest.mark.slow
def test_every_import_of_the_program_has_its_pin(repo_root: Path) -> None:
    imported = imported_names(repo_root, ("core", "dashboard", "pages"))
    pins = pinned([repo_root / "requirements.txt"])
    pinned_names = set[str]().union(*(packages_of().get(pin, set()) for pin in pins))
    own = {"core", "dashboard", "pages"}
    assert imported - pinned_names - own - set(sys.stdlib_module_names) == set()


@lru_cache
def packages_of() -> dict[str, set[str]]:
    """Top packages that each installed distribution brings."""
    found: dict[str, set[str]] = {}
    for package, names in metadata.packages_distributions().items():
        for name in names:
            found.setdefault(canonicalize_name(name), set()).add(package)
    return found


def pinned(files: Iterable[Path]) -> set[str]:
    """Names of the distributions that requirements files pin."""
    return {
        canonicalize_name(requirement.name)
        for file in files
        for requirement in requirements(file.read_text(encoding="utf-8"))
    }


def imported_names(root: Path, folders: tuple[str, ...]) -> set[str]:
    """Top packages that Python files in these folders import."""
    return {
        name
        for file in python_files(root, *folders)
        for name in every_import(ast.parse(file.read_text(encoding="utf-8")))
        if name
    }


def every_import(tree: ast.AST) -> Iterator[str]:
    """Top package of each import, also of those inside functions and of importorskip."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


def test_locks_hold_every_pin_with_a_hash_and_name_no_host(repo_root: Path) -> None:
    constraints = (repo_root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    held: dict[str, str] = {}
    for lock in LOCKS:
        text = (repo_root / lock).read_text(encoding="utf-8")
        assert "://" not in text
        assert "--index" not in text
        entries = re.findall(
            r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$",
            text,
            re.MULTILINE,
        )
        assert len(entries) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE))
        assert not {name for name, _, _ in entries} & set(held)
        held |= {name: version for name, version, _ in entries}
    missing = [
        line
        for line in constraints
        if "==" in line and held.get(line.split("==")[0]) != line.split("==")[1]
    ]
    assert missing == []
    assert "torch" in held
    assert any(PLATFORM_SPECIFIC.match(name) for name in held)
