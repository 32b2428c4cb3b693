"""The view of a browser session on the Evaluation page, and its link."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, Final

import streamlit as st
from streamlit.errors import StreamlitAPIException

from core.evaluation.tables.attributes import Condition
from dashboard.evaluation.view import (
    KNOWN,
    READ,
    VIEW_FIELDS,
    EvaluationView,
    from_query,
    to_query,
)
from dashboard.session import link, state

_VIEW: Final = "_evaluation"
_PINNED: Final[ContextVar[EvaluationView | None]] = ContextVar("evaluation_view", default=None)
_LATEST: Final = "_evaluation_latest"
_LINK: Final = "_evaluation_link"
_SHOWN: Final = "_evaluation_errors"
THRESHOLDS_PART: Final = "ev_thresholds"
ERRORS_PART: Final = "ev_errors"
SUBGROUPS_PART: Final = "ev_subgroup_part"
"""Keys of the parts of the page that follow the thresholds."""


def enter_evaluation_view(check: Callable[[EvaluationView], None]) -> None:
    """Take the view from a link that names another one, after Back from any; for the page's start.

    Callbacks and fragments do not read the URL: the browser sends the one it had when the user
    moved a control, which may be older than the view.

    Args:
        check: Raises `LinkError` for a view that does not fit the data.

    Raises:
        LinkError: The link has an invalid value.
    """
    linked = {name: st.query_params[name] for name in VIEW_FIELDS if name in st.query_params}
    if link.came_back() or (linked and linked != state.recall(_LINK)):
        for name in VIEW_FIELDS:
            link.check(name, READ[name], KNOWN[name])
        view = from_query(linked)
        check(view)
        state.remember(_VIEW, view)
    keep_evaluation_view(evaluation_view())


def evaluation_view() -> EvaluationView:
    """The current view."""
    return _PINNED.get() or state.recall(_VIEW) or EvaluationView()


@dataclass(slots=True)
class LatestView:
    """The view of a browser session by now, for work outside its runs, such as a download.

    Attributes:
        view: The view.
    """

    view: EvaluationView

    @contextlib.contextmanager
    def pinned(self) -> Generator[EvaluationView]:
        """Make it the one that `evaluation_view` gives, as no run of the session does here."""
        token = _PINNED.set(self.view)
        try:
            yield self.view
        finally:
            _PINNED.reset(token)


def latest_view() -> LatestView:
    """Follows the view of this session; valid after the run has ended."""
    known: LatestView = state.recall(_LATEST) or LatestView(evaluation_view())
    state.remember(_LATEST, known)
    return known


def keep_evaluation_view(view: EvaluationView) -> None:
    """Make this the current view, and the URL a link to it."""
    query = to_query(view)
    state.remember(_VIEW, view)
    latest_view().view = view
    state.remember(_LINK, query)
    for name in VIEW_FIELDS:
        link.show(name, query.get(name))


def control(key: str, value: object) -> None:
    """Set the value of a widget before it is drawn, unless it already has it."""
    missing = object()
    if state.recall(key, missing) != value:
        state.remember(key, value)


def bound(
    widget: Callable[..., object], field: str, value: object, *arguments: object,
    convert: Callable[[Any], Any] = lambda value: value, keep_moved: bool = False,
    **options: object,
) -> None:  # fmt: skip
    """Draw a widget, keyed `ev_` and the field's name, whose value is a field of the view.

    Args:
        widget: One of Streamlit's.
        field: Field of the view.
        value: Value of the widget.
        arguments: Positional arguments of the widget, the label first.
        convert: Turns the widget's value into the field's.
        keep_moved: Whether thresholds that the user has moved stay; otherwise the rule chooses.
        options: Further arguments of the widget.
    """
    key = f"ev_{field}"

    def changed() -> None:
        view = replace(evaluation_view(), **{field: convert(state.recall(key))})
        keep_evaluation_view(view if keep_moved else replace(view, moved=()))

    control(key, value)
    widget(*arguments, **{"key": key, "on_change": changed, **options})


def redraw_followers() -> None:
    """Redraw what follows the thresholds and nothing else; for the end of a callback."""
    subgroups = [SUBGROUPS_PART] if evaluation_view().subgroups else []
    _redraw(THRESHOLDS_PART, ERRORS_PART, *subgroups)


def show_group(conditions: tuple[Condition, ...]) -> None:
    """List the errors of a group of studies only, () all of them; for the end of a callback."""
    keep_evaluation_view(replace(evaluation_view(), group=conditions))
    _redraw(SUBGROUPS_PART, ERRORS_PART)


def _redraw(*parts: str) -> None:
    # The page may not have drawn all of them yet; then it will draw them in the new state.
    with contextlib.suppress(StreamlitAPIException):
        st.rerun(scope=list(parts))


def errors_shown(start: int) -> int:
    """Number of errors that the gallery lists."""
    return int(state.recall(_SHOWN, start))


def show_more_errors(start: int) -> None:
    """List `start` errors more; for a button's callback."""
    state.remember(_SHOWN, errors_shown(start) + start)
