"""Rules of the house that no single module can see."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

MAY_IMPORT_TORCH = (
    "core/models/",
    "core/training/",
    "core/inference/predictor.py",
    "core/inference/slice_inputs.py",
    "core/inference/one_trunk.py",
    "core/inference/segmentation.py",
    "core/inference/explain.py",
    "core/inference/boxes/predictor.py",
    "core/experiments/subsampled_predictions.py",
    "core/prepared/slice_dataset.py",
    "core/prepared/box_dataset.py",
    "core/prepared/grid_dataset.py",
    "core/prepared/deferred_augmentation.py",
)
SOURCES = ("core", "dashboard", "pages", "scripts", "benchmarks", "tests")
MACHINE_PATHS = re.compile(r"(?<![\w.~])/(work|root|home|Users|mnt|scratch)/\w")


@pytest.fixture(scope="module")
def tracked_texts(repo_root: Path) -> dict[str, str]:
    """Text of each file that git holds or would hold, by its path."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("this is not a git checkout")
    contents = {
        name: (repo_root / name).read_bytes()
        for name in listed.stdout.splitlines()
        if (repo_root / name).is_file()
    }
    return {
        name: content.decode() for name, content in contents.items() if b"\0" not in content[:8192]
    }


def python_files(root: Path, *folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (root / folder).rglob("*.py"))


def module_level_imports(tree: ast.AST) -> Iterator[str]:
    """Top package of each import that runs when the module is imported."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]
        yield from module_level_imports(node)


@pytest.mark.slow
def test_importing_the_dashboard_does_not_load_torch(repo_root: Path) -> None:
    # dashboard.app is Streamlit's script: importing it would draw the page.
    code = (
        "import importlib, pkgutil, sys, dashboard\n"
        "for module in pkgutil.walk_packages(dashboard.__path__, 'dashboard.'):\n"
        "    if module.name != 'dashboard.app':\n"
        "        importlib.import_module(module.name)\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repo_root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr or "importing dashboard loads torch"


def test_torch_is_imported_at_module_level_only_where_networks_live(repo_root: Path) -> None:
    offenders: list[str] = []
    for file in python_files(repo_root, "core", "dashboard", "pages"):
        name = file.relative_to(repo_root).as_posix()
        imported = set(module_level_imports(ast.parse(file.read_text(encoding="utf-8"))))
        allowed = name.startswith(MAY_IMPORT_TORCH) and not name.endswith("/bundles.py")
        if imported & {"torch", "torchvision", "lightning_fabric"} and not allowed:
            offenders.append(name)
    assert not offenders


SETTINGS_EDGES = ("core/cli/", "core/__main__.py", "dashboard/session/settings.py")


@pytest.mark.slow
def test_settings_are_read_at_the_edges_and_handed_down(repo_root: Path) -> None:
    """Library code that asked the environment itself would ignore what its caller asked for."""
    readers = {
        file.relative_to(repo_root).as_posix()
        for file in python_files(repo_root, "core", "dashboard", "pages")
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func).split(".")[-1] == "Settings"
    }
    assert "dashboard/session/settings.py" in readers
    assert [name for name in sorted(readers) if not name.startswith(SETTINGS_EDGES)] == []


def test_import_contracts_are_kept(repo_root: Path) -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    command = [sys.executable, str(lint_imports), "--no-cache"]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_pages_read_like_a_description(repo_root: Path) -> None:
    lengths = {
        file.name: len(file.read_text(encoding="utf-8").splitlines())
        for file in (repo_root / "pages").glob("*.py")
    }
    assert lengths
    assert {name: lines for name, lines in lengths.items() if lines > 60} == {}


def test_modules_stay_small_enough_to_read_at_once(repo_root: Path) -> None:
    lengths = {
        file.relative_to(repo_root).as_posix(): len(file.read_text(encoding="utf-8").splitlines())
        for file in python_files(repo_root, "core", "dashboard", "scripts")
    }
    long = {name: lines for name, lines in lengths.items() if lines > 300}
    # Most files stay under 300 lines; a few that hold one whole idea may be a little longer.
    assert len(long) <= 0.03 * len(lengths)
    assert {name: lines for name, lines in long.items() if lines > 380} == {}


def test_errors_and_warnings_are_shown_as_they_are(repo_root: Path) -> None:
    """A path or a name in a sentence must not turn into Markdown: `show_error` sees to it."""
    loose = [
        f"{path.relative_to(repo_root)}:{call.lineno}"
        for path in python_files(repo_root, "dashboard", "pages")
        if path.name != "notices.py"
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in {"error", "warning"}
        and call.args
        and not isinstance(call.args[0], ast.Constant | ast.JoinedStr)
    ]
    assert not loose, loose


def test_scripts_that_streamlit_runs_hold_no_string_of_their_own(repo_root: Path) -> None:
    """Streamlit shows a string that stands by itself; only the docstring is left alone."""
    scripts = [repo_root / "dashboard" / "app.py", *python_files(repo_root, "pages")]
    shown = [
        f"{path.name}:{node.lineno}"
        for path in scripts
        for node in ast.parse(path.read_text()).body[1:]
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ]
    assert not shown, shown


def test_no_path_of_one_machine_is_in_the_repository(tracked_texts: dict[str, str]) -> None:
    found = {
        f"{name}:{number}"
        for name, text in tracked_texts.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if MACHINE_PATHS.search(line)
    }
    assert found == set()


def test_no_conflict_marker_is_left(tracked_texts: dict[str, str]) -> None:
    marker = re.compile(r"^(<{7}|>{7}) ", flags=re.MULTILINE)
    assert [name for name, text in tracked_texts.items() if marker.search(text)] == []


def test_the_upload_limit_of_the_server_is_that_of_the_program(repo_root: Path) -> None:
    from core.config import Settings

    config = tomllib.loads((repo_root / ".streamlit/config.toml").read_text(encoding="utf-8"))
    assert config["server"]["maxUploadSize"] == Settings.model_fields["max_upload_mib"].default
    assert config["server"]["address"] == "127.0.0.1"
    assert config["server"]["showEmailPrompt"] is False


def test_every_promised_make_target_is_there(repo_root: Path) -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=repo_root,
        capture_output=True,
        text=True,
        check=False,
    )
    listed = set(re.findall(r"^  make ([a-z-]+) ", done.stdout, flags=re.MULTILINE))
    assert {"setup", "run", "test", "lint", "bench", "demo-models", "clean"} <= listed


def test_the_ci_script_parses(repo_root: Path) -> None:
    script = repo_root / ".ci" / "run"
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    assert script.stat().st_mode & 0o111
