"""Why a volume that was chosen may not be read: what it lacks, and what its headers leave open."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.dicom.headers import SliceHeader
from core.dicom.scan_facts import HU
from core.dicom.slice_places import MIN_STACK, SAME_POSITION_MM, has_gap, in_gap, slice_heights
from core.dicom.volume_groups import VolumeGroup
from core.dicom.volume_notes import differing_facts
from core.errors import DicomSeriesError

_MIN_REPEATED: Final = 0.5
"""Share of the slices whose instance number another slice has, from which they are two scans."""
_EXPORT: Final = "export the series again with its geometry"
_KEEP_ONE: Final = "keep the files of one scan in the folder"


def unit_problem(folder: Path, chosen: VolumeGroup) -> DicomSeriesError | None:
    """Refuse images that are no HU."""
    if chosen.facts.unit == HU:
        return None
    return DicomSeriesError(
        folder,
        f"its images are a map in {chosen.facts.unit}, not HU (RescaleType or ImageType)",
        "give the folder of the CT series itself",
    )


def stray_problem(
    chosen: VolumeGroup, others: Sequence[VolumeGroup], unknown: Sequence[SliceHeader]
) -> DicomSeriesError | None:
    """Refuse where a file that was set apart is missing in the volume."""
    facts = chosen.facts
    for other in others:
        if other.facts.study not in ("", facts.study) or (
            other.facts.series not in ("", facts.series)
        ):
            continue
        for header in other.headers:
            if not _is_missed(header, chosen.headers):
                continue
            if header.flaw:
                return DicomSeriesError(header.path, header.flaw, header.remedy)
            rest = len(chosen.headers)
            names = " and ".join(differing_facts(chosen, other)) or "position"
            return DicomSeriesError(
                header.path,
                f"its {names} differs from the other {rest} slices of its series, which have a gap "
                "in its place",
                "keep slices that belong together in the folder, or export the series again",
            )
    for header in unknown:
        if header.flaw and _is_missed(header, chosen.headers):
            return DicomSeriesError(header.path, header.flaw, header.remedy)
    return None


def _is_missed(header: SliceHeader, slices: Sequence[SliceHeader]) -> bool:
    """Whether the slices have a gap that this one may fill."""
    heights = slice_heights(slices)
    numbers = np.unique([float(h.instance_number) for h in slices])
    if heights is not None and header.position is not None:
        own = slice_heights((*slices, header))
        assert own is not None
        if len(slices) != 2:
            return in_gap(np.sort(heights), float(own[-1]))
        between = min(heights) < own[-1] < max(heights)
        return bool(between) and _number_is_missing(numbers, header.instance_number)
    if header.flaw and not header.rows and len(slices) < MIN_STACK:
        # So few slices cannot show that one of them is missing.
        return True
    if header.instance_number:
        return _number_is_missing(numbers, header.instance_number)
    return _has_hole(numbers) or (heights is not None and has_gap(np.sort(heights)))


def _number_is_missing(numbers: NDArray[np.float64], number: int) -> bool:
    if len(numbers) == 2:
        return bool(numbers[0] < number < numbers[1])
    return in_gap(numbers, float(number))


def _has_hole(numbers: NDArray[np.float64]) -> bool:
    return bool(numbers[1] - numbers[0] > 1) if len(numbers) == 2 else has_gap(numbers)


def settled_slices(
    folder: Path, chosen: VolumeGroup, others: Sequence[VolumeGroup]
) -> tuple[tuple[SliceHeader, ...], str, DicomSeriesError | None]:
    """Return the slices with positions to believe, a note, and what is wrong with them."""
    headers = chosen.headers
    scattered = [h for other in others if len(other.headers) == 1 for h in other.headers]
    if len(headers) == 1 and len(scattered) > 1:
        many = f"each of its {len(scattered) + 1} slices states a series or a scan of its own"
        return headers, "", DicomSeriesError(folder, many, _EXPORT)
    heights = slice_heights(headers)
    objects = {_object(k, header) for k, header in enumerate(headers)}
    if heights is None or len(objects) == 1:
        return headers, "", None
    positions = np.array([header.position for header in headers], np.float64)
    if np.ptp(positions, axis=0).max() < SAME_POSITION_MM:
        return _by_location(folder, headers)
    return headers, "", _mixed_problem(folder, headers, heights)


def _object(number: int, header: SliceHeader) -> tuple[str, int]:
    """Return what is equal for copies of one slice only; every slice counts without a UID."""
    return header.sop_uid or str(number), header.frame


def _by_location(
    folder: Path, headers: tuple[SliceHeader, ...]
) -> tuple[tuple[SliceHeader, ...], str, DicomSeriesError | None]:
    """Order slices that all state one position by SliceLocation, if the numbers agree with it."""
    located = sorted(headers, key=lambda h: h.slice_location or 0.0)
    locations = np.array([h.slice_location for h in located], np.float64)
    numbers = np.diff([h.instance_number for h in located])
    in_order = bool((numbers > 0).all() or (numbers < 0).all())
    if (
        not np.isfinite(locations).all()
        or np.diff(locations).min() < SAME_POSITION_MM
        or (not in_order)
    ):
        problem = f"all of its {len(headers)} slices state one position"
        return headers, "", DicomSeriesError(folder, problem, _EXPORT)
    note = "All slices state one ImagePositionPatient, which is left aside."
    return tuple(dataclasses.replace(h, position=None) for h in headers), note, None


def _mixed_problem(
    folder: Path, headers: Sequence[SliceHeader], heights: NDArray[np.float64]
) -> DicomSeriesError | None:
    """Refuse slices of two scans that no element of their headers tells apart."""
    places: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for k, header in enumerate(headers):
        places[header.scan.acquisition, header.instance_number].append(k)
    repeated = [members for members in places.values() if len(members) > 1]
    if not repeated or len(places) == 1:
        return None
    distinct = [m for m in repeated if len({_object(k, headers[k]) for k in m}) > 1]
    if sum(map(len, distinct)) > _MIN_REPEATED * len(headers):
        return DicomSeriesError(
            folder,
            f"its {len(headers)} slices use {len(places)} instance numbers several times: they are "
            "of two scans that nothing else tells apart",
            _KEEP_ONE,
        )
    return None
