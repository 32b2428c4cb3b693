"""What a link may ask for in its query parameters; a wrong value is reported, never replaced."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any, Final

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.constants import VERTEBRAE
from core.errors import CSpineError
from dashboard.session.urls import slice_number

_WRITTEN: Final = "_written_query"
_LONGEST: Final = 60


class LinkError(CSpineError):
    """A query parameter of the URL has a value that the page does not know.

    Attributes:
        name: The parameter.
    """

    def __init__(self, name: str, value: str, known: str) -> None:
        shown = value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
        super().__init__(
            f"The link's “{name}” is “{shown}”, but {known}; correct the link, or open the page "
            "without it."
        )
        self.name = name


def linked(name: str) -> str | None:
    """Text of a query parameter; None if the URL does not have it."""
    return st.query_params.get(name)


def came_back() -> bool:
    """Whether this run was asked for by the browser's Back or Forward: then the URL leads."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def check(name: str, read: Callable[[str], Any], known: str) -> None:
    """Check a query parameter, if the URL has it and this session has not set it itself.

    Args:
        name: The parameter.
        read: Returns its value; None for a wrong one.
        known: What there is instead, to complete "but …".

    Raises:
        LinkError: The value is wrong.
    """
    text = linked(name)
    if text is not None and read(text) is None and (name, text) not in _written():
        raise LinkError(name, text, known)


def check_one_of(name: str, known: Collection[str], what: str) -> None:
    """Check a query parameter that names one of some things; as `check`.

    Args:
        name: The parameter.
        known: Their names.
        what: What lacks the thing, to complete "but … has none of this name".

    Raises:
        LinkError: It names none of them.
    """
    check(name, lambda text: text if text in known else None, f"{what} has none of this name")


def check_plain() -> None:
    """Check the parameters whose values need no data to be judged.

    Raises:
        LinkError: A value is wrong.
    """
    for name, (read, known) in _PLAIN.items():
        check(name, read, known)


def check_slice(n_slices: int) -> None:
    """Check the slice that a link names.

    Raises:
        LinkError: The study has no such slice.
    """
    known = f"this study has slices 0 to {n_slices - 1}"
    check("slice", lambda text: slice_number(text, n_slices), known)


def value(name: str, read: Callable[[str], Any], otherwise: Any) -> Any:  # noqa: ANN401 - any value
    """Value of a query parameter; `otherwise` where it is missing or wrong."""
    text = linked(name)
    found = None if text is None else read(text)
    return otherwise if found is None else found


def choose(key: str, name: str, read: Callable[[str], Any], start: object = None) -> None:
    """Give a widget the value in the URL, else its first value, unless it has one already.

    After Back or Forward it gets that value in any case.

    Args:
        key: Key of the widget.
        name: The query parameter.
        read: Returns its value; None for a wrong one.
        start: Value without a link; None leaves that to the widget.
    """
    if key in st.session_state and not came_back():
        return
    found = value(name, read, start)
    if found is not None:
        st.session_state[key] = found


def show(name: str, text: str | None) -> None:
    """Set a query parameter of the URL; None removes it."""
    if text is None:
        st.query_params.pop(name, None)
        return
    _written().add((name, text))
    if st.query_params.get(name) != text:
        st.query_params[name] = text


def forget(name: str) -> None:
    """Remove a wrong parameter; for a button's callback."""
    st.query_params.pop(name, None)


def share(text: str) -> float | None:
    """A number from 0 to 1; None for anything else."""
    return number(text, 0.0, 1.0)


def number(text: str, low: float, high: float) -> float | None:
    """A number in a range; None for anything else."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and low <= value <= high else None


def _written() -> set[tuple[str, str]]:
    """Parameters that this session has set: the browser may report one that is outdated."""
    return st.session_state.setdefault(_WRITTEN, set())


def _one(text: str) -> bool | None:
    return True if text == "1" else None


_PLAIN: Final[dict[str, tuple[Callable[[str], Any], str]]] = {
    "present": (_one, "only 1 turns the presenter view on"),
    "truth": (_one, "only 1 shows the truth"),
    "view": (lambda text: text if text == "many" else None, "only “many” names another view"),
    "vertebra": (lambda text: text if text in VERTEBRAE else None, "the vertebrae are C1 to C7"),
    "patient_threshold": (share, "a threshold is a number from 0 to 1"),
    "vertebra_threshold": (share, "a threshold is a number from 0 to 1"),
}
"""Reader and meaning of each parameter that is checked by its value alone."""
