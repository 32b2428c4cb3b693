"""Of all images of a folder those of the one volume that is read, and words about the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.dicom.headers import SliceHeader
from core.dicom.pixels import is_read_syntax
from core.dicom.scan_facts import HU
from core.dicom.volume_doubts import settled_slices, stray_problem, unit_problem
from core.dicom.volume_groups import VolumeGroup, group_slices
from core.dicom.volume_notes import note_on_volumes, notes_on_files
from core.errors import DicomSeriesError


@dataclass(frozen=True, slots=True, eq=False)
class VolumeChoice:
    """The slices to read.

    Attributes:
        headers: The slices of the volume, in no order.
        notes: Sentences about what was chosen and what was left out.
        problem: Why they must not be read; None if they may.
    """

    headers: tuple[SliceHeader, ...]
    notes: tuple[str, ...]
    problem: DicomSeriesError | None = None


def choose_volume(folder: Path, headers: Sequence[SliceHeader], foreign: int = 0) -> VolumeChoice:
    """Choose the largest CT volume in HU, and say what else there is.

    Args:
        folder: Named in errors.
        headers: Of all DICOM files of the folder, one for each frame.
        foreign: Number of files that are not DICOM, for the notes.

    Raises:
        DicomSeriesError: There is no CT slice.
    """
    if not headers:
        raise DicomSeriesError(
            folder, "none of its files is DICOM", "give the folder that holds the .dcm files"
        )
    ct = [h for h in headers if h.modality == "CT" and not h.localizer]
    if not ct:
        raise _no_ct(folder, headers)
    chosen, *others = sorted(group_slices(ct), key=_rank)
    twins = sum(_rank(other)[:3] == _rank(chosen)[:3] for other in others)
    unknown = [header for header in headers if not header.modality]
    notes = [*notes_on_files(folder, headers, foreign), note_on_volumes(chosen, others, twins)]
    if chosen.joined:
        notes.append(
            "Every slice states a series of its own; as they agree in all else and stand at even "
            "distances, they are read as one."
        )
    problem = unit_problem(folder, chosen) or stray_problem(chosen, others, unknown)
    settled, note, doubt = settled_slices(folder, chosen, others)
    notes.append(note)
    return VolumeChoice(settled, tuple(note for note in notes if note), problem or doubt)


def _no_ct(folder: Path, headers: Sequence[SliceHeader]) -> DicomSeriesError:
    damaged = next((h for h in headers if not h.modality and h.flaw), None)
    if damaged is not None and all(not header.modality for header in headers):
        return DicomSeriesError(damaged.path, damaged.flaw, damaged.remedy)
    return DicomSeriesError(
        folder,
        f"it holds no CT slices, only {_kinds(headers)}",
        "give the folder of the CT series",
    )


def _kinds(headers: Sequence[SliceHeader]) -> str:
    counts: Counter[str] = Counter()
    for header in headers:
        code = header.modality if re.fullmatch(r"[A-Z]{2,16}", header.modality) else "unnamed"
        counts["CT localizers" if header.localizer and code == "CT" else code] += 1
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))


def _rank(group: VolumeGroup) -> tuple[bool, bool, int, tuple[str, ...]]:
    """Sort volumes in HU first, then those that can be read, then by size."""
    sound = sum(
        not h.flaw
        and h.pixel_offset is not None
        and is_read_syntax(h.transfer_syntax)
        and h.spacing is not None
        and (h.position is not None or h.slice_location is not None)
        for h in group.headers
    )
    facts = group.facts
    by_name = (facts.study, facts.series, *map(str, facts), *map(str, group.parts))
    return (
        facts.unit != HU, 2 * sound <= len(group.headers), -group.n_positions, by_name,
    )  # fmt: skip
