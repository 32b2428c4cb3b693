"""Write constraints.txt and the lock files: versions and hashes of all that is installed.

Run with the environment's Python after changing a requirement:
`.venv/bin/python -m scripts.freeze`.
The locks are of this platform, so run it on Linux x86-64 with the oldest Python that is supported.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
import sysconfig
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PLATFORM_SPECIFIC = re.compile(r"nvidia-(?!ml-py$)|cuda-|triton$")
"""CUDA parts (nvidia-ml-py is none) differ by platform and by build of torch, which pins them."""
HEADER = """\
# Everything requirements*.txt pull in, so that each machine gets the same set.
# Written by: .venv/bin/python -m scripts.freeze
# CUDA packages are left out: torch names the ones that fit it on each platform.
"""


LOCKS: Final = {
    "requirements.lock": "requirements.txt",
    "requirements-dev.lock": "requirements-dev.txt",
}
"""The second holds only what the first does not."""
LOCK_HEADER: Final = """\
# Versions and hashes of all that {source} needs{beyond}.
# Written by: .venv/bin/python -m scripts.freeze
# Fits: {fits}
"""
OLDER_LINUX: Final = (
    "manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64",
    "manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux_2_12_x86_64",
    "manylinux1_x86_64", "manylinux_2_5_x86_64",
)  # fmt: skip
"""Tags of an older C library, for which pip takes other files of some packages."""


def platform_name() -> str:
    """What a lock file fits: system, processor and Python, such as "linux-x86_64 cpython-3.11"."""
    version = ".".join(platform.python_version_tuple()[:2])
    return f"{sysconfig.get_platform()} {sys.implementation.name}-{version}"


def lock_entries(report: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Version and sha256 by canonical name, from what `pip install --report` wrote.

    Raises:
        ValueError: A package comes without a hash, or in a build of another index.
    """
    found: dict[str, tuple[str, str]] = {}
    for entry in report["install"]:
        name, version = entry["metadata"]["name"], entry["metadata"]["version"]
        sha256 = entry["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
        if sha256 is None or "+" in version:
            raise ValueError(f"{name} {version} has no hash or is no build of the main index.")
        found[canonicalize_name(name)] = version, sha256
    return found


def wanted_extras(report: dict[str, Any]) -> dict[str, set[str]]:
    """Extras by canonical name that a package or a requirements file asks for.

    pip counts `coverage[toml]` as pinned only where its own line names the extra.
    """
    extras = {
        canonicalize_name(entry["metadata"]["name"]): set(entry.get("requested_extras", ()))
        for entry in report["install"]
    }
    for entry in report["install"]:
        own = extras[canonicalize_name(entry["metadata"]["name"])]
        for text in entry["metadata"].get("requires_dist", ()):
            needed = Requirement(text)
            marker = needed.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in {"", *own}):
                extras.setdefault(canonicalize_name(needed.name), set()).update(needed.extras)
    return {name: found for name, found in extras.items() if found}


def needs_newer_linux(report: dict[str, Any]) -> list[str]:
    """Packages whose file needs a C library newer than 2.28."""
    tags = {
        canonicalize_name(entry["metadata"]["name"]): re.findall(
            r"manylinux_2_(\d+)", entry["download_info"]["url"]
        )
        for entry in report["install"]
    }
    return [name for name, found in tags.items() if found and min(map(int, found)) > 28]


def lock_text(entries: dict[str, tuple[str, set[str]]], extras: dict[str, set[str]]) -> str:
    """A lock file's lines: a pin, and a line for each hash.

    Args:
        entries: Version and sha256 digests by canonical name.
        extras: From `wanted_extras`.
    """
    lines: list[str] = []
    for name, (version, hashes) in sorted(entries.items()):
        wanted = f"[{','.join(sorted(extras[name]))}]" if name in extras else ""
        pins = [f"{name}{wanted}=={version}", *(f"    --hash=sha256:{h}" for h in sorted(hashes))]
        lines.append(" \\\n".join(pins) + "\n")
    return "".join(lines)


def requirements(text: str) -> list[Requirement]:
    """The requirements in the text of a requirements file."""
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return [Requirement(line) for line in lines if line]


def closure(direct: list[Requirement]) -> dict[str, str]:
    """Installed versions by canonical name of `direct` and all that they need on this platform.

    Raises:
        importlib.metadata.PackageNotFoundError: A needed distribution is not installed.
    """
    versions: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    waiting = list(direct)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if PLATFORM_SPECIFIC.match(name):
            continue
        found = metadata.distribution(name)
        # A local part such as +cpu names a build that other machines cannot get.
        versions[name] = found.version.split("+")[0]
        for extra in {"", *requirement.extras}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            needed = (Requirement(text) for text in found.requires or [])
            waiting += [n for n in needed if not n.marker or n.marker.evaluate({"extra": extra})]
    return versions


def main() -> int:
    """Write the files; returns the exit status."""
    direct = [r for file in LOCKS.values() for r in requirements((ROOT / file).read_text())]
    try:
        versions = closure(direct)
    except metadata.PackageNotFoundError as error:
        print(f"{error.name} is not installed; install the requirements first.", file=sys.stderr)
        return 2
    lines = [f"{name}=={version}" for name, version in sorted(versions.items())]
    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(lines) + "\n")
    try:
        _write_locks()
    except (ValueError, subprocess.CalledProcessError) as error:
        print(f"The lock files were not written: {error}", file=sys.stderr)
        return 2
    return 0


def _write_locks() -> None:
    held: dict[str, tuple[str, str]] = {}
    files: list[str] = []
    for lock, source in LOCKS.items():
        files += ["-r", str(ROOT / source)]
        report = _report([*files, "-c", str(ROOT / "constraints.txt")])
        entries = lock_entries(report)
        own = {name: entry for name, entry in entries.items() if name not in held}
        held |= own
        older = _older({name: own[name] for name in needs_newer_linux(report) if name in own})
        hashes = {
            name: (version, {sha256, older.get(name, (version, sha256))[1]})
            for name, (version, sha256) in own.items()
        }
        beyond = "" if lock == "requirements.lock" else " beyond requirements.lock"
        header = LOCK_HEADER.format(source=source, beyond=beyond, fits=platform_name())
        (ROOT / lock).write_text(header + lock_text(hashes, wanted_extras(report)))


def _older(entries: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """The same packages for an older C library, as far as they have files for it."""
    found: dict[str, tuple[str, str]] = {}
    tags = [word for tag in OLDER_LINUX for word in ("--platform", tag)]
    for name, (version, _) in entries.items():
        try:
            report = _report([f"{name}=={version}", "--no-deps", "--only-binary=:all:", *tags])
        except subprocess.CalledProcessError:
            continue
        found |= lock_entries(report)
    return found


def _report(arguments: list[str]) -> dict[str, Any]:
    """What pip would install on an empty environment; index options come from its settings.

    Raises:
        subprocess.CalledProcessError: pip found no answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
        command += ["--quiet", "--disable-pip-version-check", "--report", str(out), *arguments]
        subprocess.run(command, check=True, capture_output=True)
        return json.loads(out.read_text())


if __name__ == "__main__":
    sys.exit(main())
