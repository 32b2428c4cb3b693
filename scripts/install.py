"""Make `.venv` and install the pinned packages; a repeated call takes a fraction of a second."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Generator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
GIB = 1024**3
NEEDED_GIB = 12
"""With a CUDA build of torch the packages take 8 GiB, their wheels 3 more while pip works."""


class SetupError(Exception):
    """Something on this machine stops the set-up; the message is one sentence for the user."""


def venv_python(venv: Path = VENV) -> Path:
    """Path of the environment's interpreter."""
    return venv / "bin" / "python"


def requirement_files(*, dev: bool, root: Path = ROOT) -> list[Path]:
    """The requirement files of a profile."""
    names = ["requirements.txt", "requirements-dev.txt"] if dev else ["requirements.txt"]
    return [root / name for name in names]


def lock_files(*, dev: bool, root: Path = ROOT) -> list[Path]:
    """The lock files that fit this machine; none where pip has to choose other builds.

    They fit one platform and one Python, and torch's main builds: a further index
    (PIP_EXTRA_INDEX_URL) is there to get others.
    """
    names = ["requirements.lock", "requirements-dev.lock"] if dev else ["requirements.lock"]
    locks = [root / name for name in names]
    if os.environ.get("PIP_EXTRA_INDEX_URL") or not all(lock.is_file() for lock in locks):
        return []
    version = ".".join(map(str, sys.version_info[:2]))
    here = f"# Fits: {sysconfig.get_platform()} {sys.implementation.name}-{version}"
    return locks if all(here in lock.read_text().splitlines() for lock in locks) else []


def pip_sources(*, dev: bool, root: Path = ROOT) -> list[str]:
    """What pip is to install: locked files by their hashes, else pinned versions."""
    if locks := lock_files(dev=dev, root=root):
        return ["--require-hashes", *(word for lock in locks for word in ("-r", str(lock)))]
    constraints = root / "constraints.txt"
    words = ["-c", str(constraints)] if constraints.exists() else []
    return words + [
        word for file in requirement_files(dev=dev, root=root) for word in ("-r", str(file))
    ]


def fingerprint(*, dev: bool, root: Path = ROOT, venv: Path = VENV) -> str:
    """SHA-256 (hex) of everything that determines what is installed.

    Contents, not modification times: a fresh clone or a branch switch sets those at random.
    """
    digest = hashlib.sha256()
    files = [*requirement_files(dev=dev, root=root), root / "constraints.txt", venv / "pyvenv.cfg"]
    files += lock_files(dev=dev, root=root)
    for file in files:
        digest.update(file.read_bytes() if file.exists() else b"absent")
        digest.update(b"\0")
    return digest.hexdigest()


def is_current(*, dev: bool, root: Path = ROOT, venv: Path = VENV) -> bool:
    """Whether the environment works and holds exactly the profile's packages."""
    try:
        installed = json.loads(_stamp(venv).read_text())
    except (OSError, ValueError):
        return False
    profile = "dev" if dev else "run"
    wanted = fingerprint(dev=dev, root=root, venv=venv)
    return isinstance(installed, dict) and installed.get(profile) == wanted and _works(venv)


def install(*, dev: bool) -> None:
    """Bring `.venv` to the profile's packages; an interrupted call is resumed.

    Raises:
        SetupError: No disk space, no writable folder, or pip failed.
    """
    if is_current(dev=dev):
        return
    with _only_one():
        if is_current(dev=dev):
            return
        _make_venv()
        _stamp(VENV).unlink(missing_ok=True)
        for folder in VENV.glob("lib/python*/site-packages"):
            drop_unfinished(folder)
        _pip_install(dev=dev)
        _compile_packages()
        _write_stamp(dev=dev)


def check_disk(free_bytes: int, *, fresh: bool) -> None:
    """Refuse to start a first installation without enough disk space.

    Raises:
        SetupError: Less free than a fresh installation needs.
    """
    if fresh and free_bytes < NEEDED_GIB * GIB:
        raise SetupError(
            f"The packages need about {NEEDED_GIB} GiB of disk, but only "
            f"{free_bytes / GIB:.1f} GiB are free in {ROOT}; free some space and run this again."
        )


def drop_unfinished(site_packages: Path) -> list[str]:
    """Drop packages whose installation was interrupted, so that pip installs them again.

    pip writes INSTALLER after a package's files; metadata without it belongs to an incomplete
    package that pip would take for complete. Folders starting with `~` are its half-done removals.

    Returns:
        Names of what was dropped.
    """
    torsos = [d for d in site_packages.glob("*.dist-info") if not (d / "INSTALLER").exists()]
    torsos += site_packages.glob("~*")
    for torso in torsos:
        if torso.is_dir():
            shutil.rmtree(torso)
        else:
            torso.unlink()
    return sorted(torso.name for torso in torsos)


def _stamp(venv: Path) -> Path:
    return venv / ".installed.json"


def _works(venv: Path) -> bool:
    try:
        command = [venv_python(venv), "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@contextlib.contextmanager
def _only_one() -> Generator[None, None, None]:
    handle = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another set-up is running in this folder; waiting for it.", flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _make_venv() -> None:
    holds_torch = any(VENV.glob("lib/python*/site-packages/torch/version.py"))
    check_disk(shutil.disk_usage(ROOT).free, fresh=not holds_torch)
    if _works(VENV) and _has_pip():
        return
    print(f"Making .venv with Python {sys.version.split()[0]}", flush=True)
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SetupError(
            f"{VENV} could not be made; check that you may write there, and on Debian or Ubuntu "
            "that python3-venv is installed."
        )


def _has_pip() -> bool:
    command = [venv_python(), "-m", "pip", "--version"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _pip_install(*, dev: bool) -> None:
    print("Installing packages (several GB the first time; minutes)", flush=True)
    # Next to the environment, because /tmp is often a small memory disk and the wheels are large.
    temporary = VENV / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    command = [str(venv_python()), "-m", "pip", "install", "--no-input", "--prefer-binary"]
    command += ["--disable-pip-version-check", "--retries", "5", "--no-compile"]
    command += pip_sources(dev=dev)
    environment = os.environ | {"TMPDIR": str(temporary)}
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    if done.returncode == 0:
        return
    if shutil.disk_usage(ROOT).free < GIB:
        raise SetupError("The disk filled up while installing; free some space and run this again.")
    raise SetupError(
        "pip could not install the packages (its reason stands above); check the network and run "
        "this again: it goes on where it stopped."
    )


def _compile_packages() -> None:
    """Write the packages' byte code with every core; pip would use one.

    Without it each process that may write none (PYTHONDONTWRITEBYTECODE) compiles torch from
    source whenever it imports it.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    # Some packages carry templates that are no Python; those are left as they are.
    subprocess.run(
        [str(venv_python()), "-m", "compileall", "-q", "-j", "0", str(VENV / "lib")],
        env=environment, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _write_stamp(*, dev: bool) -> None:
    profiles = ("run", "dev") if dev else ("run",)
    content = {profile: fingerprint(dev=profile == "dev") for profile in profiles}
    temporary = _stamp(VENV).with_suffix(".new")
    temporary.write_text(json.dumps(content) + "\n")
    temporary.replace(_stamp(VENV))


def main() -> int:
    """Set up the environment; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dev", action="store_true", help="also what tests and lint need")
    arguments = parser.parse_args()
    try:
        install(dev=arguments.dev)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        reason = error.strerror or error
        print(f"Set-up failed: {reason}; fix that and run it again.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted; run it again to continue.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
