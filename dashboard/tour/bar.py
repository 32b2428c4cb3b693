"""The tour bar at the bottom of every page: what to say, what to try, back and next."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from html import escape
from typing import Final

import streamlit as st

from core.errors import DataRootError
from dashboard.session.urls import PAGES
from dashboard.studies.cohort import all_bundles
from dashboard.studies.current_set import current_cohort
from dashboard.tour import state
from dashboard.tour.presenter import presenter_switch
from dashboard.tour.stops import STOPS, TourStop, example_study, stop_at, stop_query
from dashboard.widgets.scrolling import keep_in_view

HOME: Final = "overview"
Pages = Mapping[str, st.Page]
"""Pages of the dashboard by their path in the URL."""


def follow_tour(page: st.Page, pages: Pages) -> None:
    """Enter or leave a stop if that was requested, which switches the page.

    Args:
        page: Page that the URL names.
        pages: All pages.
    """
    if state.leave_tour():
        st.switch_page(pages[HOME])
    asked = state.asked_stop()
    if asked is None:
        return
    stop = stop_at(asked)
    query = _known_models(stop_query(asked, _study()))
    if state.tour_place() is None and page.url_path == stop.page:
        # A saved link also holds the settings of the page.
        query |= state.linked_query()
    state.enter_stop(asked, stop.controls)
    st.switch_page(pages[stop.page], query_params=query)


def tour_bar(page: st.Page, pages: Pages) -> None:
    """Draw the current stop of the tour; nothing outside the tour.

    Args:
        page: Page on show.
        pages: All pages.
    """
    place = state.tour_place()
    if place is None:
        return
    stop = stop_at(place.number)
    here = page.url_path == stop.page
    state.show_stop_in_url(place.number if here else None)
    with st.bottom, st.container(key="tour_bar"):
        notes, buttons = st.columns([10, 3], gap="medium", vertical_alignment="center")
        with notes:
            st.html(_notes(place.number, stop) if here else _elsewhere(place.number, stop, pages))
        with buttons:
            _buttons(place.number, here)
        if here and stop.focus:
            keep_in_view(stop.focus, f"{place.serial}")


def tour_start(label: str = "Take the tour: eight stops for a class") -> None:
    """Draw a link to the first stop."""
    st.page_link(
        PAGES / f"{stop_at(1).page}.py",
        label=label,
        icon=":material/tour:",
        width="stretch",
        query_params=stop_query(1, None),
    )


def _known_models(query: dict[str, str]) -> dict[str, str]:
    """The query without models that this installation lacks."""
    known = {f"bundle.{bundle.folder.name}" for bundle in all_bundles()}
    models = [name for name in query.pop("models", "").split(",") if name in known]
    return query | ({"models": ",".join(models)} if models else {})


def _study() -> str | None:
    try:
        cohort = current_cohort()
    except DataRootError:
        return None
    return None if cohort is None else example_study(cohort.studies)


def _notes(number: int, stop: TourStop) -> str:
    return (
        f'<div class="lab-tour">{_title(number, stop)}'
        f'<p><span class="lab-eyebrow">Say</span>{escape(stop.say)}</p>'
        f'<p><span class="lab-eyebrow">Try</span>{escape(stop.do)}</p></div>'
    )


def _elsewhere(number: int, stop: TourStop, pages: Pages) -> str:
    return (
        f'<div class="lab-tour">{_title(number, stop)}<p>This stop is on the page '
        f"{escape(pages[stop.page].title)}. “Return” opens it again in its initial state; until "
        "then, nothing changes on this page.</p></div>"
    )


def _title(number: int, stop: TourStop) -> str:
    return (
        f'<div class="lab-tour-title"><span class="lab-eyebrow">Stop {number} of {len(STOPS)}'
        f"</span><b>{escape(stop.title)}</b>{_dots(number)}</div>"
    )


def _dots(number: int) -> str:
    dots = "".join(f"<i{' class=lab-on' if n <= number else ''}></i>" for n in _numbers())
    return f'<span class="lab-tour-dots" aria-hidden="true">{dots}</span>'


def _numbers() -> range:
    return range(1, len(STOPS) + 1)


def _buttons(number: int, here: bool) -> None:
    presenting = state.presents()
    with st.container(key="tour_steps", horizontal=True):
        st.button(
            "Back", key="tour_back", icon=":material/arrow_back:", disabled=number == 1,
            on_click=state.ask_stop, args=(number - 1,),
            shortcut="PageUp" if presenting else None,
        )  # fmt: skip
        name, icon, action = (
            ("Return", "undo", partial(state.ask_stop, number)) if not here
            else ("Next", "arrow_forward", partial(state.ask_stop, number + 1))
            if number < len(STOPS) else ("Finish", "flag", state.ask_to_leave)
        )  # fmt: skip
        st.button(
            name, key=f"tour_{name.lower()}", type="primary", icon=f":material/{icon}:",
            on_click=action, shortcut="PageDown" if presenting and name == "Next" else None,
        )  # fmt: skip
    with st.container(key="tour_more", horizontal=True):
        presenter_switch("tour")
        if here and number == len(STOPS):
            return
        st.button(
            "Leave", key="tour_leave", type="tertiary", icon=":material/close:",
            on_click=state.ask_to_leave,
            help="Ends the tour and restores all pages to their state before it.",
        )  # fmt: skip
