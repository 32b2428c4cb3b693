"""One switch for truth, verdict and boxes; a class sees none of them until it is pressed."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from dashboard.session import link, state
from dashboard.session.teaching import TRUTH_LISTED, teaches
from dashboard.widgets.frame import blank

_STUDY = "_revealed_study"
_QUERY = "truth"


@dataclass(frozen=True, slots=True)
class Reveal:
    """What a page may show of a study.

    Attributes:
        truth: Whether the truth is shown.
        verdict: Whether scores and boxes of the networks are shown.
    """

    truth: bool
    verdict: bool


def reveal_switch(study: str, *, labelled: bool, always_truth: bool = False) -> Reveal:
    """Draw the switch; in the tour and the presenter layout it starts off for every study.

    Elsewhere the verdict is always shown, and the switch shows the truth.

    Args:
        study: Fingerprint of the study on show.
        labelled: Whether its truth is known.
        always_truth: Whether the page shows the truth without the switch outside the tour and the
            presenter layout.
    """
    teaching = teaches()
    if teaching:
        _start_hidden(study)
    else:
        state.remember(_STUDY, None)
        if always_truth:
            return Reveal(truth=labelled, verdict=True)
        if not labelled:
            return Reveal(truth=False, verdict=True)
    link.choose(state.TRUTH_KEY, _QUERY, lambda text: text == "1" or None, start=False)
    with st.container(key="reveal"):
        shown = st.toggle(
            "Reveal verdict, boxes and truth" if teaching else "Show the truth",
            key=state.TRUTH_KEY,
            persist_state="session",
        )
    link.show(_QUERY, "1" if shown else None)
    if not teaching and state.recall(TRUTH_LISTED, shown) != shown:
        # The list of studies is outside of the page's fragment and names the truth as well.
        state.remember(TRUTH_LISTED, shown)
        st.rerun()
    return Reveal(truth=shown and labelled, verdict=shown or not teaching)


def hidden_note() -> None:
    """Draw what stands in the place of a hidden verdict."""
    blank(
        "Verdict, boxes and truth are hidden. Let the class vote first, then press “Reveal "
        "verdict, boxes and truth”."
    )


def _start_hidden(study: str) -> None:
    """Hide again what was revealed of another study; a link may reveal the first one."""
    known = state.recall(_STUDY)
    if known == study:
        return
    state.remember(state.TRUTH_KEY, known is None and link.linked(_QUERY) == "1")
    state.remember(_STUDY, study)
