"""Unique identifiers below the root of 128-bit numbers, which needs no registration (X.667)."""

from __future__ import annotations

import hashlib
import uuid
from typing import Final

from pydicom.uid import UID

UID_ROOT: Final = "2.25."
"""Root for UIDs from 128-bit numbers (DICOM PS3.5, B.2)."""


def derived_uid(*parts: object) -> UID:
    """Return a UID that depends only on `parts`."""
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return UID(UID_ROOT + str(int.from_bytes(digest[:16], "big")))


def new_uid() -> UID:
    """Return a UID that nothing else has."""
    return UID(UID_ROOT + str(uuid.uuid4().int))
