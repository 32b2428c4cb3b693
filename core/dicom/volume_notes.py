"""Sentences about the volume that is read and about all that is left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from core.dicom.headers import SliceHeader
from core.dicom.scan_facts import HU
from core.dicom.volume_groups import FACT_NAMES, PART_NAMES, VolumeGroup
from core.system.file_tree import path_below

_SHOWN: Final = 4
_OF_OTHERS: Final = {
    "patient": "another patient", "study": "another study", "series": "another series",
}  # fmt: skip


def _counted(count: int, one: str, many: str, done: str = "left out") -> str:
    return f"{count} {one if count == 1 else many} {done}." if count else ""


def notes_on_files(folder: Path, headers: Sequence[SliceHeader], foreign: int) -> list[str]:
    """Say what else lies in the folder; "" for what does not.

    Args:
        folder: Damaged files are named by their path below it.
        headers: Of all DICOM files.
        foreign: Number of files that are not DICOM.
    """
    other = sum(header.modality not in ("", "CT") for header in headers)
    scouts = sum(header.modality == "CT" and header.localizer for header in headers)
    return [
        _counted(foreign, "file is not DICOM and was", "files are not DICOM and were"),
        _counted(other, "file is not CT and was", "files are not CT and were"),
        _counted(scouts, "localizer was", "localizers were", "set apart"),
        _note_on_damaged(folder, [header for header in headers if not header.modality]),
    ]


def _note_on_damaged(folder: Path, damaged: Sequence[SliceHeader]) -> str:
    if not damaged:
        return ""
    shown = "; ".join(f"{path_below(h.path, folder)}: {h.flaw}" for h in damaged[:_SHOWN])
    more = ", …" * (len(damaged) > _SHOWN)
    one = "file is damaged and was"
    return f"{_counted(len(damaged), one, 'files are damaged and were')[:-1]} ({shown}{more})."


def note_on_volumes(chosen: VolumeGroup, others: Sequence[VolumeGroup], twins: int) -> str:
    """Name the volumes that are not read, "" where there are none.

    Args:
        chosen: The volume that is read.
        others: The others, the most eligible first.
        twins: Number of others that are as eligible.
    """
    if not others:
        return ""
    shown = "; ".join(_described(chosen, other) for other in others[:_SHOWN])
    more = f"; {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    first = (
        f"Of {len(others) + 1} CT volumes the largest is read ({_slices(chosen)}); left out: "
        f"{shown}{more}."
    )
    if not twins:
        return first
    return f"{first} {twins + 1} of them have as many slices, and the first by its UID was taken."


def _described(chosen: VolumeGroup, other: VolumeGroup) -> str:
    words = f"{_slices(other)} of {_difference(chosen, other)}"
    unit = other.facts.unit
    if unit != HU:
        words += f", not in HU but {unit}"
    fault = next((header.flaw for header in other.headers if header.flaw), "")
    return f"{words} ({fault})" if fault else words


def _slices(group: VolumeGroup) -> str:
    count = len(group.headers)
    return f"{count} slice" if count == 1 else f"{count} slices"


def _difference(chosen: VolumeGroup, other: VolumeGroup) -> str:
    """Say what tells two volumes apart: whose they are, or else the facts that differ."""
    names = differing_facts(chosen, other)
    for name, words in _OF_OTHERS.items():
        if name in names:
            return words
    listed = " and ".join(names) if names else "position"
    return f"the same series with another {listed}"


def differing_facts(chosen: VolumeGroup, other: VolumeGroup) -> list[str]:
    """Name the facts that tell two volumes apart."""
    names = [
        name for name, a, b in zip(FACT_NAMES, chosen.facts, other.facts, strict=True) if a != b
    ]
    if names:
        return names
    return [
        name
        for k, name in enumerate(PART_NAMES)
        if {part[k] for part in chosen.parts} != {part[k] for part in other.parts}
    ]
