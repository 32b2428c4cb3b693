"""What a browser session shows on the Evaluation page, and its link."""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard.evaluation.view import VIEW_FIELDS, EvaluationView, from_query, to_query
from dashboard.session import state

_VIEW: Final = "_evaluation"
_LINK: Final = "_evaluation_link"
_SHOWN: Final = "_evaluation_errors"


def evaluation_view() -> EvaluationView:
    """What the Evaluation page shows; a link that names another view wins."""
    linked = {name: st.query_params[name] for name in VIEW_FIELDS if name in st.query_params}
    if linked and linked != state.recall(_LINK):
        state.remember(_VIEW, from_query(linked))
        state.remember(_LINK, linked)
    return state.recall(_VIEW) or EvaluationView()


def keep_evaluation_view(view: EvaluationView) -> None:
    """Show this view from now on, and make the URL a link to it."""
    query = to_query(view)
    state.remember(_VIEW, view)
    state.remember(_LINK, query)
    for name in VIEW_FIELDS:
        if name not in query:
            st.query_params.pop(name, None)
        elif st.query_params.get(name) != query[name]:
            st.query_params[name] = query[name]


def control(key: str, value: object) -> None:
    """Have a widget show this value; before it is drawn. A widget that does is left alone."""
    missing = object()
    if state.recall(key, missing) != value:
        state.remember(key, value)


def errors_shown(start: int) -> int:
    """How many errors the gallery lists."""
    return int(state.recall(_SHOWN, start))


def show_more_errors(start: int) -> None:
    """List as many again; for a button's callback."""
    state.remember(_SHOWN, errors_shown(start) + start)
