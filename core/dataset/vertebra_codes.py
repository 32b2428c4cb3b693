"""Codes of vertebrae in DICOM objects, and what else their segments may be called."""

from __future__ import annotations

import re
from typing import Final

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

LEVELS: Final = (*(f"C{k}" for k in range(1, 8)), *(f"T{k}" for k in range(1, 13)))
"""Names by label: 1..7 are C1..C7 and 8..19 T1..T12."""
LEVEL_CODES: Final[dict[str, Code]] = {
    name: getattr(codes.SCT, f"{name}Vertebra") for name in LEVELS
}
"""SNOMED CT codes of whole vertebrae by name (DICOM PS3.16, CID 4052 and others)."""

_BY_CODE: Final = {code.value: k for k, code in enumerate(LEVEL_CODES.values(), start=1)}
_NAMED: Final = re.compile(r"(?:^|[^a-z0-9])([ct])\s?(1[0-2]|[1-9])(?![a-z0-9])", re.IGNORECASE)


def label_of(code: str, name: str) -> int:
    """Find the label of a segment, 1..19, by its SNOMED CT code or else its name; 0 for another.

    Args:
        code: Value of the code of what it shows.
        name: Such as "C3", "C3 vertebra" or "vertebrae_C3".
    """
    if code in _BY_CODE:
        return _BY_CODE[code]
    found = _NAMED.search(name)
    level = "" if found is None else f"{found[1].upper()}{found[2]}"
    return LEVELS.index(level) + 1 if level in LEVELS else 0
