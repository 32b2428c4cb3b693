from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import install
from scripts.freeze import closure, requirements
from scripts.install import GIB, NEEDED_GIB, SetupError, check_disk, drop_unfinished, fingerprint


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "requirements.txt").write_text("numpy==2.4.6\n")
    (tmp_path / "requirements-dev.txt").write_text("pytest==9.2.0\n")
    (tmp_path / "constraints.txt").write_text("numpy==2.4.6\n")
    return tmp_path


def fake_venv(project: Path, *, version: str = "3.11.7") -> Path:
    venv = project / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text(f"version = {version}\n")
    python = venv / "bin" / "python"
    python.write_text("#!/bin/sh\nexit 0\n")
    python.chmod(0o755)
    return venv


def stamp(project: Path, venv: Path, *, profiles: tuple[str, ...]) -> None:
    content = {p: fingerprint(dev=p == "dev", root=project, venv=venv) for p in profiles}
    (venv / ".installed.json").write_text(json.dumps(content))


def test_an_installed_environment_is_current_until_a_requirement_changes(project: Path) -> None:
    venv = fake_venv(project)
    stamp(project, venv, profiles=("run",))
    assert install.is_current(dev=False, root=project, venv=venv)
    (project / "constraints.txt").write_text("numpy==2.4.7\n")
    assert not install.is_current(dev=False, root=project, venv=venv)


def test_touching_files_without_changing_them_installs_nothing(project: Path) -> None:
    venv = fake_venv(project)
    stamp(project, venv, profiles=("run",))
    for file in project.glob("*.txt"):
        file.write_bytes(file.read_bytes())
    assert install.is_current(dev=False, root=project, venv=venv)


def test_packages_for_running_do_not_count_as_those_for_testing(project: Path) -> None:
    venv = fake_venv(project)
    stamp(project, venv, profiles=("run",))
    assert not install.is_current(dev=True, root=project, venv=venv)
    stamp(project, venv, profiles=("run", "dev"))
    assert install.is_current(dev=True, root=project, venv=venv)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"run": null}'])
def test_a_damaged_stamp_means_installing_again(project: Path, content: str) -> None:
    venv = fake_venv(project)
    (venv / ".installed.json").write_text(content)
    assert not install.is_current(dev=False, root=project, venv=venv)


def test_an_environment_whose_python_is_gone_is_not_current(project: Path) -> None:
    venv = fake_venv(project)
    stamp(project, venv, profiles=("run",))
    (venv / "bin" / "python").unlink()
    assert not install.is_current(dev=False, root=project, venv=venv)


def test_a_package_cut_off_while_installing_is_forgotten(tmp_path: Path) -> None:
    for name, complete in {"torch-2.0.dist-info": False, "numpy-2.0.dist-info": True}.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "METADATA").write_text("Name: x\n")
        if complete:
            (folder / "INSTALLER").write_text("pip\n")
    (tmp_path / "~andas").mkdir()
    (tmp_path / "numpy").mkdir()
    assert drop_unfinished(tmp_path) == ["torch-2.0.dist-info", "~andas"]
    assert sorted(f.name for f in tmp_path.iterdir()) == ["numpy", "numpy-2.0.dist-info"]


def test_too_little_disk_is_said_before_the_first_installation_only() -> None:
    with pytest.raises(SetupError, match=r"need about 12 GiB.*only 2\.0 GiB are free") as caught:
        check_disk(2 * GIB, fresh=True)
    assert "\n" not in str(caught.value)
    check_disk(2 * GIB, fresh=False)
    check_disk(NEEDED_GIB * GIB, fresh=True)


def test_requirements_are_read_without_their_comments() -> None:
    text = "# why\nPyYAML==6.0.3\n\npyright[nodejs]==1.1.414  # engine\n#numpy==1\n"
    assert [str(r) for r in requirements(text)] == ["PyYAML==6.0.3", "pyright[nodejs]==1.1.414"]


def test_constraints_name_what_a_requirement_pulls_in_but_no_cuda_package() -> None:
    versions = closure(requirements("torch\n"))
    assert {"torch", "sympy", "mpmath"} <= versions.keys()
    assert [name for name in versions if name.startswith(("nvidia", "cuda", "triton"))] == []


def fake_python(folder: Path, name: str, version: str, *, venv: bool = True) -> None:
    """A stand-in that answers the three questions of find_python.sh."""
    old = int(version.split(".")[1]) < 11
    script = f"""#!/bin/sh
case "$2" in
    *python_version*) echo {version} ;;
    *version_info*) exit {int(old)} ;;
    *ensurepip*) exit {int(not venv)} ;;
esac
"""
    (folder / name).write_text(script)
    (folder / name).chmod(0o755)


def find_python(root: Path, path: Path, named: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(root / "scripts" / "find_python.sh")],
        env={"PATH": str(path), "PYTHON": named},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_first_python_that_is_new_enough_is_taken(repo_root: Path, tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", "3.9.2")
    fake_python(tmp_path, "python3.12", "3.12.1")
    assert find_python(repo_root, tmp_path).stdout == "python3.12\n"


@pytest.mark.parametrize(
    ("version", "venv", "sentence"),
    [
        ("3.9.2", True, "Python 3.11 or newer is needed, but only 3.9.2 was found"),
        ("3.11.2", False, "python3 cannot make virtual environments; install its venv package"),
        (None, True, "Python 3.11 or newer is needed, but none was found"),
    ],
)
def test_a_machine_without_a_fit_python_gets_one_sentence(
    repo_root: Path, tmp_path: Path, version: str | None, venv: bool, sentence: str
) -> None:
    if version:
        fake_python(tmp_path, "python3", version, venv=venv)
    done = find_python(repo_root, tmp_path)
    assert done.returncode == 2
    assert not done.stdout
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1


def test_a_named_python_is_the_only_one_tried(repo_root: Path, tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", "3.12.1")
    fake_python(tmp_path, "my python", "3.10.0")
    done = find_python(repo_root, tmp_path, named=str(tmp_path / "my python"))
    assert done.returncode == 2
    assert "3.10.0" in done.stderr


def test_packages_are_compiled_even_where_processes_write_no_byte_code(tmp_path, monkeypatch):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "module.py").write_text("VALUE = 1\n")
    (tmp_path / "lib" / "template.py").write_text("{{ no python }} =\n")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(install, "VENV", tmp_path)
    monkeypatch.setattr(install, "venv_python", lambda: sys.executable)
    install._compile_packages()
    assert [file.name.split(".")[0] for file in tmp_path.rglob("*.pyc")] == ["module"]
