"""Numbering of files by slice, with RSNA's irregularities."""

from __future__ import annotations

from dataclasses import dataclass

from core.phantom.quirks import Quirks, dropped_slices


@dataclass(frozen=True, slots=True)
class Numbering:
    """The files of a series.

    Attributes:
        files: (file number, slice index) of every file.
        of_slice: Lowest file number of each slice that has a file.
    """

    files: tuple[tuple[int, int], ...]
    of_slice: dict[int, int]


def number_files(n_slices: int, quirks: Quirks) -> Numbering:
    """Number the slices of a study, the most cranial first unless reversed."""
    order = list(range(n_slices))
    if "reversed_numbering" in quirks:
        order.reverse()
    dropped = set(dropped_slices(n_slices, quirks))
    if "missing_files" not in quirks:
        order = [i for i in order if i not in dropped]
    files = [(quirks.first_number + k, i) for k, i in enumerate(order) if i not in dropped]
    of_slice = {i: number for number, i in files}
    if "duplicate_positions" in quirks:
        files += [(number + len(order), i) for number, i in files]
    return Numbering(tuple(files), of_slice)
