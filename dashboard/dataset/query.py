"""A filter of studies as URL parameters and as labels on the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from core.constants import N_VERTEBRAE, VERTEBRAE
from core.dataset.quality import FLAGS
from core.dataset.study_table import Span, StudyFilter
from dashboard.session import link

_FLAG_BY_WORD: Final = {flag.column.removeprefix("flag_"): flag for flag in FLAGS}
_SPANS: Final = {
    "n_boxes": ("Boxes", ""),
    "box_mm": ("A box with a side of", " mm"),
    "n_slices": ("Slices", ""),
    "spacing_mm": ("Slice distance", " mm"),
}
PARTS: Final[tuple[str, ...]] = tuple(StudyFilter.__slots__)
"""URL parameters, named like the attributes of the filter."""


def filter_to_query(wanted: StudyFilter) -> dict[str, str]:
    """URL parameters of a filter; conditions that are not set are left out."""
    words: dict[str, str] = {}
    for part in wanted.parts:
        value = getattr(wanted, part)
        if part == "fractured":
            words[part] = "yes" if value else "no"
        elif part == "flags":
            words[part] = ",".join(flag.removeprefix("flag_") for flag in value)
        elif part in _SPANS:
            words[part] = f"{value[0]:.10g}..{value[1]:.10g}"
        else:
            words[part] = ",".join(value) if part == "vertebrae" else str(value)
    return words


def filter_from_query(words: Mapping[str, str]) -> StudyFilter:
    """The filter of URL parameters; `check_filter_link` reports invalid ones."""
    given = {part: _READERS[part](words[part]) for part in PARTS if part in words}
    return StudyFilter(**{part: value for part, value in given.items() if value is not None})


def check_filter_link() -> None:
    """Check the filter in the URL.

    Raises:
        LinkError: A condition has an invalid value.
    """
    for part in PARTS:
        link.check(part, _READERS[part], _KNOWN[part])


def filter_labels(wanted: StudyFilter) -> dict[str, str]:
    """Label of each condition of a filter, by name."""
    labels: dict[str, str] = {}
    for part in wanted.parts:
        value = getattr(wanted, part)
        if part in _SPANS:
            name, unit = _SPANS[part]
            labels[part] = f"{name} {value[0]:g} to below {value[1]:g}{unit}"
        else:
            labels[part] = _LABELS[part](value)
    return labels


_LABELS: Final[dict[str, Callable[[Any], str]]] = {
    "fractured": lambda value: "Fractured" if value else "Not fractured",
    "vertebrae": lambda value: " and ".join(value) + " fractured",
    "n_fractured": lambda value: f"{value} fractured vertebra{'' if value == 1 else 'e'}",
    "flags": lambda value: " and ".join(
        flag.title for flag in _FLAG_BY_WORD.values() if flag.column in value
    ),
    "text": lambda value: f"Id contains “{value}”",
}


def _read_span(text: str) -> Span | None:
    low, _, high = text.partition("..")
    try:
        span = float(low), float(high)
    except ValueError:
        return None
    return span if all(map(math.isfinite, span)) and span[0] < span[1] else None


def _read_vertebrae(text: str) -> tuple[str, ...] | None:
    named = text.split(",")
    found = tuple(name for name in VERTEBRAE if name in named)
    return found if set(named) <= set(VERTEBRAE) else None


def _read_flags(text: str) -> tuple[str, ...] | None:
    named = text.split(",")
    found = tuple(flag.column for word, flag in _FLAG_BY_WORD.items() if word in named)
    return found if set(named) <= _FLAG_BY_WORD.keys() else None


def _read_count(text: str) -> int | None:
    known = text.isascii() and text.isdigit() and len(text) < 3 and int(text) <= N_VERTEBRAE
    return int(text) if known else None


_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "fractured": {"yes": True, "no": False}.get,
    "vertebrae": _read_vertebrae,
    "n_fractured": _read_count,
    "flags": _read_flags,
    "text": lambda text: text.strip()[:80],
    **dict.fromkeys(_SPANS, _read_span),
}
_RANGE: Final = "a range is two numbers, the lower first, as in 0..900"
_KNOWN: Final = {
    "fractured": "only yes and no are known",
    "vertebrae": "the vertebrae are C1 to C7, with commas between them",
    "n_fractured": f"a number of vertebrae is 0 to {N_VERTEBRAE}",
    "flags": f"the flags are {', '.join(_FLAG_BY_WORD)}",
    "text": "it cannot be searched for",
    **dict.fromkeys(_SPANS, _RANGE),
}
"""What there is, for a wrong value of each part of the filter."""
