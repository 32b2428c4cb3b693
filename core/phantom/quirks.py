"""Deliberate irregularities as in the real set, recorded for each study; numbers of the files.

The names are those of the flags that an index of the cohort should raise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from core.phantom.grid import Grid

FIRST_STUDIES: Final = 12
"""The first studies that show every quirk once, for any seed."""

MASK_EVERY: Final = 24
"""One study in so many has a vertebra mask: 4 %, as 87 of 2,019."""

RATES: Final[dict[str, float]] = {
    "reversed_numbering": 0.10,
    "compressed": 0.10,
    "gap": 0.03,
    "odd_size": 0.015,
    "uneven_spacing": 0.01,
    "short_coverage": 0.01,
    "mixed_series": 0.01,
    "gantry_tilt": 0.01,
    "duplicate_positions": 0.005,
    "missing_files": 0.005,
    "unreadable_file": 0.005,
}
"""Shares of studies by quirk beyond the first ones; rare ones are more frequent than in the
real set, where 3 of 2,019 studies have an odd size and 1 stacks every position twice."""

STORAGE: Final = ("reversed_numbering", "compressed")
"""Quirks that combine with any other; of the rest a study has at most one."""

SHORT_MM: Final = 48.0
SHORT_STEP_MM: Final = 0.7


@dataclass(frozen=True, slots=True)
class Quirks:
    """Irregularities of one study.

    Attributes:
        flags: Names of the flags an index should raise, in the order of `RATES`.
        first_number: Number of the first file.
        has_mask: Whether its vertebrae are segmented.
        seed: Seed of the details.
    """

    flags: tuple[str, ...] = ()
    first_number: int = 1
    has_mask: bool = True
    seed: int = 0

    def __contains__(self, flag: object) -> bool:
        return flag in self.flags

    def rng(self) -> np.random.Generator:
        """Return a generator for the details, the same at each call."""
        return np.random.default_rng(self.seed)


CLEAN: Final = Quirks()


def plan_quirks(seed: int, index: int) -> Quirks:
    """Choose the quirks of study `index` of the RSNA-like cohort `seed`, from these alone."""
    details = int(np.random.SeedSequence([seed, index, 1]).generate_state(1)[0])
    has_mask = index % MASK_EVERY == 0
    if index < FIRST_STUDIES:
        order = np.random.default_rng([seed, 2]).permutation(list(RATES))
        flag = str(order[index - 1]) if index else ""
        numbers = {"reversed_numbering": 2, "compressed": 59}
        flags = tuple(name for name in RATES if name == flag or _follows(flag, name))
        return Quirks(flags, numbers.get(flag, 1), has_mask, details)
    rng = np.random.default_rng([seed, index, 3])
    drawn = [name for name, rate in RATES.items() if rng.uniform() < rate]
    others = [name for name in drawn if name not in STORAGE]
    chosen = "" if has_mask or not others else str(rng.choice(others))
    flags = tuple(
        n for n in RATES if (n in drawn and n in STORAGE) or n == chosen or _follows(chosen, n)
    )
    first = 2 if rng.uniform() < 0.005 else 59 if rng.uniform() < 0.0005 else 1
    return Quirks(flags, first, has_mask, details)


def adapt_grid(grid: Grid, quirks: Quirks) -> Grid:
    """Return the grid with the study's quirks of geometry."""
    rng = quirks.rng()
    if "short_coverage" in quirks:
        top = min(SHORT_MM / 2 + float(rng.uniform(-15, 15)), grid.corner[2])
        n = int(SHORT_MM / SHORT_STEP_MM) + 1
        corner = (grid.corner[0], grid.corner[1], top)
        return replace(grid, n_slices=n, slice_mm=SHORT_STEP_MM, profile_mm=None, corner=corner)
    if "uneven_spacing" in quirks:
        steps = grid.slice_mm * rng.choice((0.72, 1.0, 1.0, 1.28), grid.n_slices - 1)
        steps[: grid.n_slices // 3] = grid.slice_mm
        steps[-2:] = grid.slice_mm * np.array((0.72, 1.28))
        heights = grid.corner[2] - np.concatenate([[0.0], np.cumsum(steps)])
        return replace(grid, heights_mm=tuple(float(h) for h in heights))
    if "gantry_tilt" in quirks:
        degrees = float(rng.uniform(6, 14)) * (1 if rng.uniform() < 0.5 else -1)
        return replace(grid, tilt_deg=degrees)
    if "odd_size" in quirks and rng.uniform() < 0.5:
        matrix = grid.matrix * 3 // 2
        return replace(grid, matrix=matrix, pixel_mm=grid.pixel_mm * grid.matrix / matrix)
    if "odd_size" in quirks:
        return replace(grid, columns=grid.matrix + max(round(7 * grid.matrix / 512), 1))
    return grid


def dropped_slices(n_slices: int, quirks: Quirks) -> tuple[int, ...]:
    """Indices of slices that the series lacks: a run in its middle."""
    if "gap" not in quirks:
        return ()
    rng = quirks.rng()
    length = int(rng.integers(1, 3)) if "missing_files" in quirks else int(rng.integers(3, 6))
    first = int(rng.integers(n_slices // 3, max(2 * n_slices // 3, n_slices // 3 + 1)))
    return tuple(range(first, min(first + length, n_slices - 2)))


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


def _follows(flag: str, name: str) -> bool:
    """Where files are missing, slices are missing."""
    return flag == "missing_files" and name == "gap"
