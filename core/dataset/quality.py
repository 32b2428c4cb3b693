"""Quality flags of studies, the columns of `studies.parquet`, and the rules behind them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom import uid

from core.dicom.gantry_tilt import MIN_TILT_DEGREES

GAP_FACTOR: Final = 1.8
"""A step of at least this many median steps is a gap; one missing slice makes it two."""
UNEVEN_SHARE: Final = 0.1
"""Steps that differ from their median by more than this share are uneven."""
ROUNDING_MM: Final = 0.011
"""Error in the difference of two steps when positions are written with two decimals."""
MANY_GAPS_SHARE: Final = 0.1
"""With a larger share of wide steps the spacing itself varies; they are not gaps."""
SHORT_COVERAGE_MM: Final = 60.0
"""C1 to C7 are about 110 mm high; the shortest plausible scan shows half of that."""
PLAIN_SYNTAXES: Final[frozenset[str]] = frozenset(
    (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian)
)


@dataclass(frozen=True, slots=True)
class Flag:
    """A quality flag of a study.

    Attributes:
        column: Column in `studies.parquet`.
        title: Title for headings.
        meaning: One sentence: what is unusual, and what the program does about it.
    """

    column: str
    title: str
    meaning: str


FLAGS: Final[tuple[Flag, ...]] = (
    Flag(
        "flag_reversed_numbering",
        "Reversed numbering",
        "The files are numbered from the feet up; slices are ordered by position, so the volume "
        "is not upside down.",
    ),
    Flag(
        "flag_duplicate_positions",
        "Duplicate positions",
        "Several slices lie at one position; the one with the lowest number is kept.",
    ),
    Flag(
        "flag_gap",
        "Gap",
        f"Two neighbouring slices are at least {GAP_FACTOR:g} times the usual distance apart; "
        "slices may be missing, and what lies between is not shown.",
    ),
    Flag(
        "flag_uneven_spacing",
        "Uneven spacing",
        f"The slice distance varies by more than {UNEVEN_SHARE:.0%}, beyond a gap or two; every "
        "slice keeps its true position.",
    ),
    Flag(
        "flag_odd_size",
        "Odd size",
        "The slices are not square, or not of the size that is usual in this data set; they are "
        "resized for the networks.",
    ),
    Flag(
        "flag_short_coverage",
        "Short coverage",
        f"The slices cover less than {SHORT_COVERAGE_MM:g} mm, too little for a whole cervical "
        "spine; vertebrae may be out of view.",
    ),
    Flag(
        "flag_mixed_series",
        "Mixed series",
        "The folder also holds a localizer, another series, images that are not CT, or slices of "
        "another geometry; the CT series with most slices is read.",
    ),
    Flag(
        "flag_gantry_tilt",
        "Gantry tilt",
        f"The gantry was tilted by more than {MIN_TILT_DEGREES:g}°; the slices are moved within "
        "their planes onto a rectangular grid.",
    ),
    Flag(
        "flag_compressed",
        "Compressed syntax",
        "Pixels are stored compressed; reading them takes longer.",
    ),
    Flag(
        "flag_missing_files",
        "Missing files",
        "The numbering has holes, or a table names a slice or a study that is not there; copy "
        "the study again from its source.",
    ),
    Flag(
        "flag_unreadable_file",
        "Unreadable file",
        "A file is damaged, truncated or not DICOM; the study is unreliable until it is copied "
        "again.",
    ),
)
FLAG_COLUMNS: Final[tuple[str, ...]] = tuple(flag.column for flag in FLAGS)


def is_reversed(numbers: Sequence[int]) -> bool:
    """Whether numbers mostly decrease from head to feet.

    Args:
        numbers: Numbers of files or instances, the most cranial slice first.
    """
    return int(np.sign(np.diff(np.asarray(numbers, dtype=np.int64))).sum()) < 0


def gap_and_uneven(z_mm: NDArray[np.float64]) -> tuple[bool, bool]:
    """Classify the distances of slices.

    Args:
        z_mm: float64 (n,), strictly decreasing or strictly increasing.

    Returns:
        (a gap, uneven spacing). A few wide steps in an even series are gaps; many of them, or any
        other deviation, are uneven spacing.
    """
    steps = np.abs(np.diff(z_mm))
    if not len(steps):
        return False, False
    median = float(np.median(steps))
    wide = steps >= GAP_FACTOR * median
    many = int(wide.sum()) > max(1, MANY_GAPS_SHARE * len(steps))
    off = np.abs(steps[~wide] - median) > UNEVEN_SHARE * median + ROUNDING_MM
    return bool(wide.any()) and not many, many or bool(off.any())


def has_hole(numbers: Collection[int], others: Collection[int] = ()) -> bool:
    """Whether a number between the first and the last of `numbers` is missing.

    Args:
        numbers: Numbers of the slices; a series may start anywhere.
        others: Numbers of other files in the folder, which fill holes.
    """
    taken = {*numbers, *others}
    return bool(numbers) and any(k not in taken for k in range(min(numbers), max(numbers)))


def usual_size(sizes: Iterable[tuple[int, int]]) -> tuple[int, int] | None:
    """Return the most frequent (rows, columns); of equally frequent ones the smallest."""
    counts = Counter(sizes)
    return min(counts, key=lambda size: (-counts[size], size)) if counts else None


def is_odd_size(size: tuple[int, int], usual: tuple[int, int] | None) -> bool:
    """Whether slices are not square, or differ from the usual size of the data set."""
    return size[0] != size[1] or (usual is not None and size != usual)


def is_short(coverage_mm: float) -> bool:
    """Whether the covered length is too short for a whole cervical spine."""
    return coverage_mm < SHORT_COVERAGE_MM


def is_compressed(transfer_syntax: str) -> bool:
    """Whether pixels are compressed; deflated files count."""
    return transfer_syntax not in PLAIN_SYNTAXES
