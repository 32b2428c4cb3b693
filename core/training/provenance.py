"""Provenance of a run: code, packages, machine and data."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import metadata
from typing import Final

from core.config import PROJECT_ROOT

PACKAGES: Final = (
    "torch", "torchvision", "lightning-fabric", "numpy", "pandas", "scikit-learn",
    "opencv-python-headless", "pydicom",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a run depends on in addition to its config.

    Attributes:
        git_commit: Commit of the code; "" outside a git checkout.
        git_dirty: Whether tracked files differed from that commit.
        python: Version of Python.
        packages: Versions by distribution name.
        machine: Operating system and processor, without names.
        data_fingerprint: sha256 over the store's keys, that is over the content of the studies
            used and how they were prepared.
    """

    git_commit: str
    git_dirty: bool
    python: str
    packages: dict[str, str]
    machine: str
    data_fingerprint: str


def provenance(data_fingerprint: str) -> Provenance:
    """Describe this process's code, packages and machine."""
    return Provenance(
        git_commit=_git("rev-parse", "HEAD"),
        git_dirty=bool(_git("status", "--porcelain", "--untracked-files=no")),
        python=platform.python_version(),
        packages={name: _version(name) for name in PACKAGES},
        machine=f"{platform.system()} {platform.machine()}",
        data_fingerprint=data_fingerprint,
    )


def fingerprint_keys(keys: Sequence[str]) -> str:
    """One sha256 for a set of content keys, whatever their order."""
    return sha256("\n".join(sorted(keys)).encode()).hexdigest()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(PROJECT_ROOT), *arguments],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
