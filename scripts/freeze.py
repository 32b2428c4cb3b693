"""Write constraints.txt: the versions of everything the requirements pull in.

Run with the environment's Python after changing a requirement:
`.venv/bin/python -m scripts.freeze`.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PLATFORM_SPECIFIC = re.compile(r"nvidia-|cuda-|triton$")
"""CUDA parts differ by platform and by build of torch, which pins them itself."""
HEADER = """\
# Everything requirements*.txt pull in, so that each machine gets the same set.
# Written by: .venv/bin/python -m scripts.freeze
# CUDA packages are left out: torch names the ones that fit it on each platform.
"""


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
    """Write the file; returns the exit status."""
    files = ("requirements.txt", "requirements-dev.txt")
    direct = [r for file in files for r in requirements((ROOT / file).read_text())]
    try:
        versions = closure(direct)
    except metadata.PackageNotFoundError as error:
        print(f"{error.name} is not installed; install the requirements first.", file=sys.stderr)
        return 2
    lines = [f"{name}=={version}" for name, version in sorted(versions.items())]
    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
