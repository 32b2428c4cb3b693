"""What a browser session remembers; the only place that touches session state and the URL."""

from __future__ import annotations

import uuid
from typing import Any, Final

import streamlit as st

SLICE_KEY: Final = "slice"
STUDY_KEY: Final = "study"
PATIENT_THRESHOLD_KEY: Final = "patient_threshold"
VERTEBRA_THRESHOLD_KEY: Final = "vertebra_threshold"

_ENTERED: Final = "_entered_study"
_POINTS: Final = "_entered_points"
_UPLOAD: Final = "_upload"
_SESSION: Final = "_session"


def session_name() -> str:
    """A random name of this browser session, the same for as long as it lasts."""
    return st.session_state.setdefault(_SESSION, uuid.uuid4().hex)


def study_from_url(known: list[str]) -> None:
    """Choose the study that the URL names, once, where nothing is chosen yet and it exists."""
    if STUDY_KEY not in st.session_state:
        named = st.query_params.get(STUDY_KEY)
        if named in known:
            st.session_state[STUDY_KEY] = named
    elif st.session_state[STUDY_KEY] not in known:
        del st.session_state[STUDY_KEY]


def show_study_in_url(study_id: str | None) -> None:
    """Make the URL a link to this study; None for one that has no place in the data set."""
    _set_query(STUDY_KEY, study_id)


def enter_study(fingerprint: str, n_slices: int, start: int) -> None:
    """Put the slice slider where a newly opened study should start.

    A `start` that becomes better known later (once the networks have run) moves the slider too,
    unless the reader has moved it.

    Args:
        fingerprint: Of the study.
        n_slices: Its slices, >= 1.
        start: Slice to show first.
    """
    entered, earlier = st.session_state.get(_ENTERED, (None, None))
    current = st.session_state.get(SLICE_KEY)
    if entered is None and (linked := _slice_from_url(n_slices)) is not None:
        st.session_state[SLICE_KEY] = linked
    elif entered != fingerprint or current is None or current == earlier or current >= n_slices:
        st.session_state[SLICE_KEY] = start
    st.session_state[_ENTERED] = (fingerprint, start)


def current_slice() -> int:
    """Index of the slice on show."""
    return int(st.session_state[SLICE_KEY])


def go_to_slice(index: int) -> None:
    """Show another slice; for callbacks, so before the slider is drawn."""
    st.session_state[SLICE_KEY] = index


def show_slice_in_url() -> None:
    """Make the URL a link to the slice on show."""
    _set_query(SLICE_KEY, str(current_slice()))


def enter_points(bundle: str, *, patient: float, vertebra: float) -> None:
    """Set the threshold sliders to a bundle's operating points when the bundle changes."""
    points = (bundle, patient, vertebra)
    drawn = {PATIENT_THRESHOLD_KEY, VERTEBRA_THRESHOLD_KEY} <= st.session_state.keys()
    if st.session_state.get(_POINTS) != points or not drawn:
        st.session_state[_POINTS] = points
        reset_thresholds()


def reset_thresholds() -> None:
    """Set both thresholds back to the bundle's operating points."""
    _, patient, vertebra = st.session_state[_POINTS]
    st.session_state[PATIENT_THRESHOLD_KEY] = patient
    st.session_state[VERTEBRA_THRESHOLD_KEY] = vertebra


def thresholds() -> tuple[float, float]:
    """Patient and vertebra threshold as the sliders stand."""
    return (
        float(st.session_state[PATIENT_THRESHOLD_KEY]),
        float(st.session_state[VERTEBRA_THRESHOLD_KEY]),
    )


def remembered_upload(file_id: str) -> Any:  # noqa: ANN401 - what remember_upload was given
    """What became of an upload that was seen before; None for a new one."""
    known, outcome = st.session_state.get(_UPLOAD, (None, None))
    return outcome if known == file_id else None


def remember_upload(file_id: str, outcome: object) -> None:
    """Keep what became of an upload, so that a rerun does not unpack it again."""
    st.session_state[_UPLOAD] = (file_id, outcome)


def clicked_slice(chart: str) -> int | None:
    """The slice whose point in a chart was clicked; for the chart's callback.

    None where the event holds no point: a redrawn chart lets its selection go and reports that.
    """
    event = st.session_state.get(chart) or {}
    points = event.get("selection", {}).get("points", [])
    found = points[0].get("customdata") if points else None
    if found is None:
        return None
    return int(found[0] if isinstance(found, list) else found)


def _slice_from_url(n_slices: int) -> int | None:
    text = st.query_params.get(SLICE_KEY, "")
    if text.isdecimal() and len(text) < 6 and int(text) < n_slices:
        return int(text)
    return None


def _set_query(name: str, value: str | None) -> None:
    if value is None:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != value:
        st.query_params[name] = value
