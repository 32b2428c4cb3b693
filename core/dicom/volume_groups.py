"""Slices that make up one volume: one scan, one reconstruction, one grid.

A volume is one patient, study, series and frame of reference, one orientation and pixel grid, one
kernel, energy, gantry tilt and unit. What is numbered or timed within a series (acquisition, time,
echo, contrast, thickness, kind of image) tells volumes apart only where they lie in each other: a
stack that is scanned block by block has one acquisition number per block and is one volume.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.dicom.headers import SliceHeader
from core.dicom.slice_places import (
    MIN_STACK,
    SAME_POSITION_MM,
    in_gap,
    is_even,
    slice_heights,
)

MAX_PIXEL_MM: Final = 20.0
"""Largest distance of pixels that is believed; CT pixels are 0.1 to 2 mm wide."""

_SAME_DIRECTION: Final = 1e-3
_SAME_SPACING: Final = 1e-3

_Vector = tuple[float, ...]


class VolumeFacts(NamedTuple):
    """What is equal in all slices of a volume; "" or None where the headers do not say."""

    patient: str
    study: str
    series: str
    series_number: str
    frame_of_reference: str
    size: tuple[int, int] | None
    orientation: _Vector | None
    spacing: _Vector | None
    kernel: str
    energy: str
    gantry: str
    unit: str


class _PartFacts(NamedTuple):
    """What may differ between the blocks of one volume."""

    acquisition: str
    moment: str
    weighting: str
    contrast: str
    image_type: str
    thickness: float | None


FACT_NAMES: Final = (
    "patient", "study", "series", "SeriesNumber", "FrameOfReferenceUID", "size",
    "ImageOrientationPatient", "PixelSpacing", "ConvolutionKernel", "KVP", "GantryDetectorTilt",
    "RescaleType",
)  # fmt: skip
"""Of `VolumeFacts`, as messages name them."""

PART_NAMES: Final = (
    "AcquisitionNumber", "temporal position", "echo or b-value", "ContrastBolusAgent",
    "ImageType", "SliceThickness",
)  # fmt: skip
"""Of the facts that may differ between blocks, as messages name them."""

_PER_SLICE: Final = 5
"""The first facts identify; with one series per slice all but the patient may differ."""


@dataclass(frozen=True, slots=True, eq=False)
class VolumeGroup:
    """Slices of one volume.

    Attributes:
        facts: What they have in common.
        parts: One entry for each block that was put together.
        headers: The slices, in no order; with multi-frame files one for each frame.
        joined: Whether every slice states a series of its own.
    """

    facts: VolumeFacts
    parts: tuple[_PartFacts, ...]
    headers: tuple[SliceHeader, ...]
    joined: bool = False

    @property
    def n_positions(self) -> int:
        """Number of different positions; slices if they have none."""
        heights = slice_heights(self.headers)
        if heights is None:
            return len(self.headers)
        return 1 + int((np.diff(np.sort(heights)) >= SAME_POSITION_MM).sum())


def group_slices(headers: Sequence[SliceHeader]) -> list[VolumeGroup]:
    """Sort slices into volumes, in the order of their first slice.

    Args:
        headers: CT slices, localizers left out.
    """
    facts = _volume_facts(headers)
    groups: dict[VolumeFacts, list[SliceHeader]] = defaultdict(list)
    for header, fact in zip(headers, facts, strict=True):
        groups[fact].append(header)
    found = [group for fact, members in groups.items() for group in _split_by_parts(fact, members)]
    return _with_one_series_per_slice(found)


def _volume_facts(headers: Sequence[SliceHeader]) -> list[VolumeFacts]:
    directions = _leaders((h.orientation for h in headers), _close_directions)
    spacings = _leaders((usable_spacing(h) for h in headers), _close_spacings)
    facts: list[VolumeFacts] = []
    for header in headers:
        scan, spacing = header.scan, usable_spacing(header)
        facts.append(
            VolumeFacts(
                patient=scan.patient,
                study=header.study_uid,
                series=header.series_uid,
                series_number=scan.series,
                frame_of_reference=scan.frame_of_reference,
                size=(header.rows, header.columns) if header.rows and header.columns else None,
                orientation=None if header.orientation is None else directions[header.orientation],
                spacing=None if spacing is None else spacings[spacing],
                kernel=scan.kernel,
                energy=scan.energy,
                gantry=scan.gantry,
                unit=scan.unit,
            )
        )
    buckets: dict[Hashable, list[int]] = defaultdict(list)
    for k, (fact, header) in enumerate(zip(facts, headers, strict=True)):
        buckets[fact.study, fact.series, _is_picture(header)].append(k)
    for members in buckets.values():
        filled = _filled([facts[k] for k in members])
        for k, values in zip(members, filled, strict=True):
            facts[k] = VolumeFacts(*values)
    return facts


def _is_picture(header: SliceHeader) -> bool:
    """Whether an image has no place in the patient, as the pictures of a report in a series."""
    return header.rows > 0 and header.position is None and header.orientation is None


def usable_spacing(header: SliceHeader) -> _Vector | None:
    """Return PixelSpacing; None where it is none that can be used."""
    spacing = header.spacing
    return spacing if spacing and 0 < min(spacing) <= max(spacing) <= MAX_PIXEL_MM else None


def _leaders(
    values: Iterable[_Vector | None], close: Callable[[_Vector, _Vector], bool]
) -> dict[_Vector, _Vector]:
    """Return for each value the most frequent one that it is close to."""
    counts = Counter(value for value in values if value is not None)
    leaders: dict[_Vector, _Vector] = {}
    for value, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        near = (leader for leader in dict.fromkeys(leaders.values()) if close(leader, value))
        leaders[value] = next(near, value)
    return leaders


def _close_directions(one: _Vector, other: _Vector) -> bool:
    return all(abs(a - b) <= _SAME_DIRECTION for a, b in zip(one, other, strict=True))


def _close_spacings(one: _Vector, other: _Vector) -> bool:
    return all(abs(a - b) <= _SAME_SPACING * b for a, b in zip(one, other, strict=True))


def _filled(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Give what a row does not say the value that all others agree on, where there is one."""
    columns = []
    for column in zip(*rows, strict=True):
        stated = {value for value in column if value not in ("", None)}
        only = next(iter(stated)) if len(stated) == 1 else None
        columns.append([only if only is not None and v in ("", None) else v for v in column])
    return list(zip(*columns, strict=True))


def _split_by_parts(facts: VolumeFacts, members: list[SliceHeader]) -> list[VolumeGroup]:
    """Put the blocks of one volume together, and apart what lies in it."""
    rows = _filled([_part_facts(header) for header in members])
    blocks: dict[tuple[Any, ...], list[SliceHeader]] = defaultdict(list)
    for row, header in zip(rows, members, strict=True):
        blocks[row].append(header)
    if len(blocks) == 1:
        return [VolumeGroup(facts, (_PartFacts(*rows[0]),), tuple(members))]
    places = {row: _places(block) for row, block in blocks.items()}
    order = sorted(blocks, key=lambda row: (-len(blocks[row]), places[row][0], str(row)))
    stacks: list[tuple[NDArray[np.float64], list[tuple[Any, ...]]]] = []
    for row in order:
        for k, (stack, rows_of) in enumerate(stacks):
            if _fits(stack, places[row]):
                stacks[k] = np.sort(np.concatenate((stack, places[row]))), [*rows_of, row]
                break
        else:
            stacks.append((places[row], [row]))
    return [
        VolumeGroup(
            facts,
            tuple(_PartFacts(*row) for row in rows_of),
            tuple(itertools.chain.from_iterable(blocks[row] for row in rows_of)),
        )
        for _, rows_of in stacks
    ]


def _part_facts(header: SliceHeader) -> _PartFacts:
    scan = header.scan
    return _PartFacts(
        acquisition=scan.acquisition,
        moment=scan.moment,
        weighting=scan.weighting,
        contrast=scan.contrast,
        image_type=scan.image_type,
        thickness=None if header.thickness is None else round(header.thickness, 2),
    )


def _places(headers: Sequence[SliceHeader]) -> NDArray[np.float64]:
    """Return positions along the normal, or instance numbers where one is missing, ascending."""
    heights = slice_heights(headers)
    if heights is None:
        heights = np.array([header.instance_number for header in headers], np.float64)
    return np.sort(heights)


def _fits(stack: NDArray[np.float64], block: NDArray[np.float64]) -> bool:
    """Whether a block lies beyond a stack or in its gaps."""
    return all(
        place <= stack[0] - SAME_POSITION_MM
        or place >= stack[-1] + SAME_POSITION_MM
        or in_gap(stack, place)
        for place in block.tolist()
    )


def _with_one_series_per_slice(groups: list[VolumeGroup]) -> list[VolumeGroup]:
    """Put slices together that agree in all but their own series, if they form an even stack."""
    single: dict[Hashable, list[VolumeGroup]] = defaultdict(list)
    for group in groups:
        if len(group.headers) == 1:
            facts = group.facts
            single[facts.patient, facts[_PER_SLICE:]].append(group)
    replaced: set[int] = set()
    joined: list[VolumeGroup] = []
    for members in single.values():
        headers = tuple(group.headers[0] for group in members)
        if len(members) < MIN_STACK or not is_even(headers):
            continue
        replaced |= {id(group) for group in members}
        parts = tuple(dict.fromkeys(part for group in members for part in group.parts))
        joined.append(VolumeGroup(members[0].facts, parts, headers, joined=True))
    return [*joined, *(group for group in groups if id(group) not in replaced)]
