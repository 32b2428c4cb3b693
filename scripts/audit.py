"""`make audit`: known vulnerabilities and licences of the installed packages.

Vulnerabilities come from pip-audit, which asks a database on the network; without one that is
stated and the status is 3. Licences come from the packages' own metadata.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import Final, cast

ROOT: Final = Path(__file__).resolve().parent.parent
COPYLEFT: Final = re.compile(r"\bA?GPL|\bLGPL|Lesser General|Mozilla|\bMPL|General Public", re.I)
NO_NETWORK: Final = 3
_LIMIT_S: Final = 600


@dataclass(frozen=True, slots=True)
class PackageLicense:
    """One installed package.

    Attributes:
        name: As the package writes it.
        version: Installed.
        license: An SPDX expression where there is one, else the shortest thing stated.
    """

    name: str
    version: str
    license: str

    @property
    def copyleft(self) -> bool:
        """Whether a licence asks that changes or the whole be passed on under its terms."""
        return bool(COPYLEFT.search(self.license))


def license_of(distribution: metadata.Distribution) -> PackageLicense:
    """What a package states of its licence."""
    fields = cast(Message, distribution.metadata)
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in fields.get_all("Classifier") or []
        if line.startswith("License ::") and not line.endswith(":: OSI Approved")
    ]
    free_text = (fields.get("License") or "").strip().splitlines()
    stated = fields.get("License-Expression") or ", ".join(classifiers)
    if not stated and free_text:
        stated = free_text[0][:70]
    return PackageLicense(fields["Name"], distribution.version, stated or "not stated")


def licenses() -> list[PackageLicense]:
    """Every installed package, by name."""
    found = {found.name.lower(): found for found in map(license_of, metadata.distributions())}
    return [found[name] for name in sorted(found)]


def print_licenses(found: list[PackageLicense]) -> None:
    """A line for each package, then the counts and those with copyleft terms."""
    width = max(len(f"{package.name} {package.version}") for package in found)
    for package in found:
        print(f"{package.name} {package.version}".ljust(width), package.license)
    print(f"\n{len(found)} packages:")
    for name, count in Counter(package.license for package in found).most_common(12):
        print(f"  {count:4} {name}")
    print("Copyleft terms (NOTICE names what follows from them):")
    for package in found:
        if package.copyleft:
            print(f"  {package.name} {package.version}: {package.license}")


def vulnerabilities() -> int:
    """Print what is known against the locked packages; the exit status."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--progress-spinner", "off"]
    for lock in ("requirements.lock", "requirements-dev.lock"):
        command += ["-r", str(ROOT / lock)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        print(f"Vulnerabilities: not checked; pip-audit did not end within {_LIMIT_S} s.")
        return NO_NETWORK
    if "No module named pip_audit" in done.stderr:
        print("Vulnerabilities: not checked; pip-audit is not installed, use `make audit`.")
        return NO_NETWORK
    if done.returncode == 0 or "Found" in done.stderr:
        return _answer(done)
    reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1][:200]
    print(f"Vulnerabilities: not checked; pip-audit cannot reach its database ({reason}).")
    return NO_NETWORK


def _answer(done: subprocess.CompletedProcess[str]) -> int:
    """Print what pip-audit found; a package that its database does not know was not checked."""
    locks = ("requirements.lock", "requirements-dev.lock")
    total = sum(len(re.findall(r"^[a-z0-9]", (ROOT / lock).read_text(), re.M)) for lock in locks)
    unknown = done.stdout.count("could not be audited")
    if unknown >= total:
        print("Vulnerabilities: not checked; the database answers for none of the packages.")
        return NO_NETWORK
    print(f"Vulnerabilities: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
    if unknown:
        print(f"  but {unknown} of {total} packages are not in the database and were not checked.")
    print(done.stdout.strip())
    if done.returncode != 0:
        return 1
    return NO_NETWORK if unknown else 0


def main() -> int:
    """Print licences, then vulnerabilities; returns the exit status."""
    print_licenses(licenses())
    print()
    return vulnerabilities()


if __name__ == "__main__":
    sys.exit(main())
