"""Steps to the previous and the next study, of the data set or of a worklist such as the errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import streamlit as st

from dashboard.session import state
from dashboard.session.urls import PAGES
from dashboard.session.wording import literal
from dashboard.session.worklist import Worklist, current_worklist, go_to_item, leave_worklist

_ORIGINS: Final = {"evaluation": "Back to Evaluation", "dataset": "Back to Dataset"}
_ICONS: Final = {"Previous": "chevron_left", "Next": "chevron_right"}


class Step(NamedTuple):
    """A step to another study: what a button calls, and with what."""

    go: Callable[..., None]
    to: str | int


def study_steps(current: str, ids: Sequence[str]) -> tuple[Step | None, Step | None]:
    """Steps from the study on show: back and on; None where there is no study.

    Args:
        current: Id of the study on show; one made on demand for a link has no neighbours.
        ids: Ids of the studies of the data set.
    """
    worklist = current_worklist()
    if worklist is not None:
        go, place, last = go_to_item, worklist.place, len(worklist.items) - 1
        back, on = place - 1, place + 1
        return (Step(go, back) if back >= 0 else None, Step(go, on) if on <= last else None)
    place = ids.index(current) if current in ids else None
    if place is None:
        return (None, None)
    return (
        Step(state.choose_study, ids[place - 1]) if place else None,
        Step(state.choose_study, ids[place + 1]) if place + 1 < len(ids) else None,
    )


def step_button(name: str, step: Step | None) -> None:
    """Draw a button that goes one study back or on.

    Args:
        name: "Previous" or "Next".
        step: Where it goes; None disables it.
    """
    st.button(
        name, key=f"step_{name}", icon=f":material/{_ICONS[name]}:", disabled=step is None,
        help=f"{name} study", on_click=None if step is None else step.go,
        args=() if step is None else (step.to,),
    )  # fmt: skip


def worklist_line(current: str) -> None:
    """Draw where the worklist stands and the ways out of it; nothing without a worklist.

    Args:
        current: Id of the study on show.
    """
    if (worklist := current_worklist()) is not None:
        with st.container(key="steps", horizontal=True, vertical_alignment="center", gap="small"):
            _line(worklist, current)


def _line(worklist: Worklist, current: str) -> None:
    st.caption(
        literal(
            f"{worklist.title}: {worklist.place + 1} of {len(worklist.items)} – "
            f"{worklist.item.text}"
        )
    )
    if current != worklist.item.study_id:
        st.button(
            "Back to the list", key="step_back", type="tertiary", on_click=go_to_item,
            args=(worklist.place,),
        )  # fmt: skip
    if worklist.origin in _ORIGINS:
        st.page_link(
            PAGES / f"{worklist.origin}.py", label=_ORIGINS[worklist.origin],
            icon=":material/arrow_back:",
        )  # fmt: skip
    st.button(
        "All studies", key="leave_worklist", type="tertiary", icon=":material/close:",
        on_click=leave_worklist, help="Leaves the list; the study stays open.",
    )  # fmt: skip
