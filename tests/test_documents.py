"""What README and docs promise is there: links, make targets, commands, pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer
from packaging.utils import canonicalize_name

from scripts.audit import licenses
from scripts.freeze import requirements

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *(?:```|~~~)")
MAKE = re.compile(r"\bmake ([a-z][a-z-]*)\b")
COMMAND = re.compile(r"python -m core ([a-z][a-z-]*)")
CODE = re.compile(r"`([^`\n]+)`")


def documents(root: Path) -> list[Path]:
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def prose(text: str) -> str:
    """The text without fenced code, where brackets are no links."""
    kept, inside = [], False
    for line in text.splitlines():
        if FENCE.match(line):
            inside = not inside
        elif not inside:
            kept.append(CODE.sub("", line))
    return "\n".join(kept)


def code(text: str) -> str:
    """Only what stands in fenced code, in indented code and between backticks."""
    kept, inside = [], False
    for line in text.splitlines():
        if FENCE.match(line):
            inside = not inside
        elif inside or line.startswith("    "):
            kept.append(line)
        else:
            kept += CODE.findall(line)
    return "\n".join(kept)


def anchors(text: str) -> set[str]:
    """Names that headings can be linked by."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


def test_every_link_inside_the_repository_leads_somewhere(repo_root):
    broken = []
    for document in documents(repo_root):
        text = document.read_text(encoding="utf-8")
        for target in LINK.findall(prose(text)):
            if "://" in target or target.startswith("mailto:"):
                continue
            path, _, anchor = target.partition("#")
            file = (document.parent / path).resolve() if path else document
            if not file.exists():
                broken.append(f"{document.name}: {target}")
            elif anchor and anchor not in anchors(file.read_text(encoding="utf-8")):
                broken.append(f"{document.name}: no heading {target}")
    assert broken == []


def test_every_make_target_that_is_named_exists(repo_root):
    makefile = (repo_root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.MULTILINE))
    named = {
        target: document.name
        for document in documents(repo_root)
        for target in MAKE.findall(code(document.read_text(encoding="utf-8")))
    }
    assert len(named) > 4
    assert {target: where for target, where in named.items() if target not in targets} == {}


@pytest.fixture(scope="module")
def commands() -> set[str]:
    from core.cli import app

    group: Any = typer.main.get_command(app)
    return set(group.commands)


def test_every_command_that_is_named_exists(repo_root, commands):
    named = {
        command: document.name
        for document in documents(repo_root)
        for command in COMMAND.findall(document.read_text(encoding="utf-8"))
    }
    assert len(named) > 6
    assert {command: where for command, where in named.items() if command not in commands} == {}


def test_every_page_has_a_guide_and_a_picture_in_the_readme(repo_root):
    readme = (repo_root / "README.md").read_text(encoding="utf-8")
    names = {file.stem for file in (repo_root / "pages").glob("*.py")} - {"__init__"}
    assert names
    missing = {name for name in names if not (repo_root / "docs/pages" / f"{name}.md").is_file()}
    assert missing == set()
    assert {name for name in names if f"docs/images/{name}.webp" not in readme} == set()


def test_pictures_of_the_pages_stay_small(repo_root):
    sizes = {file.name: file.stat().st_size for file in (repo_root / "docs/images").glob("*.webp")}
    assert sizes
    assert {name: size for name, size in sizes.items() if size > 200_000} == {}


def test_every_decision_is_in_the_index(repo_root):
    folder = repo_root / "docs" / "adr"
    index = (folder / "README.md").read_text(encoding="utf-8")
    pages = {file.name for file in folder.glob("0*.md")}
    assert {name for name in pages if f"({name})" not in index} == set()


def test_the_licence_is_mit_and_notice_names_what_is_not(repo_root):
    licence = (repo_root / "LICENSE").read_text(encoding="utf-8")
    assert licence.startswith("MIT License")
    assert "Permission is hereby granted, free of charge" in licence
    notice = (repo_root / "NOTICE").read_text(encoding="utf-8")
    pinned = {
        canonicalize_name(requirement.name)
        for requirement in requirements((repo_root / "requirements.txt").read_text("utf-8"))
    }
    copyleft = [p for p in licenses() if p.copyleft and canonicalize_name(p.name) in pinned]
    assert any(package.name == "stpyvista" for package in copyleft)
    assert [package.name for package in copyleft if package.name not in notice] == []
    for named in ("GPL-3.0", "vtk.js", "Fonts", "checkpoints/", "NVIDIA"):
        assert named in notice
    readme = (repo_root / "README.md").read_text(encoding="utf-8")
    assert "(LICENSE)" in readme
    assert "(NOTICE)" in readme
