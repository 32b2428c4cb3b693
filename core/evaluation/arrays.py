"""Arrays that hold the slices of many studies one after the other."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


def frozen(values: NDArray[Scalar]) -> NDArray[Scalar]:
    """A read-only view of `values`."""
    view = values.view()
    view.flags.writeable = False
    return view


def offsets_of(lengths: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """First row of each of n studies, int64 (n + 1,), from its number of slices (n,)."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def rows_of_studies(offsets: NDArray[np.int64], places: NDArray[np.intp]) -> NDArray[np.int64]:
    """Rows of the slices of the studies at `places`, study by study."""
    lengths = np.diff(offsets)[places]
    starts = np.repeat(offsets[:-1][places] - offsets_of(lengths)[:-1], lengths)
    return starts + np.arange(int(lengths.sum()))
