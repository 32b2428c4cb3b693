"""Whether a class watches: then nothing of a study is revealed by itself."""

from __future__ import annotations

from typing import Final

from dashboard.session import state

TOUR: Final = "_tour"
"""Where the session keeps its position in the tour."""
PRESENTS: Final = "_presents"
"""Where the session keeps whether the presenter layout is on."""
TRUTH_LISTED: Final = "_truth_listed"
"""Where the session keeps whether the list of studies names the truth."""


def teaches() -> bool:
    """Whether the pages are shown to a class: in the tour and in the presenter layout."""
    return bool(state.recall(PRESENTS)) or state.recall(TOUR) is not None
