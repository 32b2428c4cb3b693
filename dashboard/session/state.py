"""State of a browser session, including its URL; `viewer_place` holds the part of the viewers."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import streamlit as st

from core.dataset.study_table import StudyFilter
from dashboard.session import link
from dashboard.session.urls import slice_number

SLICE_KEY: Final = "slice"
STUDY_KEY: Final = "study"
PATIENT_THRESHOLD_KEY: Final = "patient_threshold"
VERTEBRA_THRESHOLD_KEY: Final = "vertebra_threshold"
EXPLAIN_KEY: Final = "explain"
NETWORK_KEYS: Final = ("vertebra_bundle", "fracture_bundle")
"""Keys of the pickers of the vertebra and the fracture network."""
TRUTH_KEY: Final = "show_truth"
MODE_KEY: Final = "diagnosis_mode"
ONE_STUDY: Final = "One study"
MANY_STUDIES: Final = "Many studies"
TRAINING_SECTION_KEY: Final = "training_section"
RUN_KEY: Final = "run"
SWEEP_KEY: Final = "sweep"
DATA_SET_KEY: Final = "data"
SEARCH_KEY: Final = "dataset_search"
UPLOAD_KEY: Final = "_upload"
FETCH_KEY: Final = "_fetch"
VERTEBRA_QUERY: Final = "vertebra"

ROW_CLICKS: Final = ("single-row", "single-cell")
"""Selection mode of a table whose rows open something: a click on any cell counts."""

_ENTERED: Final = "_entered_study"
_POINTS: Final = "_entered_points"
_WANTED_SLICE: Final = "_wanted_slice"
_WANTED_THRESHOLDS: Final = "_wanted_thresholds"
_SESSION: Final = "_session"
_MESSAGE: Final = "_message"
_NEXT_SECTION: Final = "_next_section"
_FILTER: Final = "_studies_filter"
_DATASET_STUDY: Final = "_dataset_study"
_OPENINGS: Final = "_dataset_openings"


def session_name() -> str:
    """Random name of this browser session, constant while the session lasts."""
    return st.session_state.setdefault(_SESSION, uuid.uuid4().hex)


def choose_from_url(key: str, known: Sequence[str], what: str) -> None:
    """Choose what the URL names, unless something is chosen already; after Back, in any case.

    Args:
        key: Name in the URL and key of the picker.
        known: What can be chosen; an unknown choice of before is forgotten.
        what: Holds what can be chosen, in words.

    Raises:
        LinkError: The URL names something unknown.
    """
    if key not in st.session_state:
        link.check_one_of(key, known, what)
    chosen = _led(key, known)
    if chosen in known:
        st.session_state[key] = chosen
    else:
        st.session_state.pop(key, None)


def chosen_of(key: str, known: Sequence[str]) -> str | None:
    """What is on show: the chosen one, else the one in the URL, else the first.

    After Back or Forward, the one in the URL comes first.

    Args:
        key: Name in the URL and key of the choice, which is kept for other pages.
        known: What can be chosen; None is returned if it is empty.
    """
    named = _led(key, known)
    if named in known:
        st.session_state[key] = named
        return str(named)
    return known[0] if known else None


def _led(key: str, known: Sequence[str]) -> Any:  # noqa: ANN401 - any choice
    """The chosen one, else the one in the URL; the other way round after Back."""
    chosen, linked = st.session_state.get(key), st.query_params.get(key)
    first, second = (linked, chosen) if link.came_back() else (chosen, linked)
    return first if first in known else second


def choose_study(study_id: str) -> None:
    """Show another study of the data set. For callbacks: they run before the picker is drawn."""
    st.session_state[STUDY_KEY] = study_id


def open_in_diagnosis(
    study_id: str, slice_index: int | None = None, vertebra: str | None = None
) -> None:
    """Show a study on Diagnosis, of the data set or of a shipped cohort; for callbacks.

    Args:
        study_id: StudyInstanceUID.
        slice_index: Slice to show; None for the one that the page chooses.
        vertebra: Vertebra to explain; None leaves the choice.
    """
    st.session_state[MODE_KEY] = ONE_STUDY
    st.session_state["source"] = "Data set"
    choose_study(study_id)
    st.session_state[_WANTED_SLICE] = slice_index
    if vertebra is not None:
        st.session_state[EXPLAIN_KEY] = vertebra


def open_folder_in_diagnosis(folder: str) -> None:
    """Show the study in a folder on Diagnosis; for callbacks."""
    st.session_state[MODE_KEY] = ONE_STUDY
    st.session_state["source"] = "Folder"
    st.session_state["folder"] = folder


def enter_study(fingerprint: str, n_slices: int, start: int) -> None:
    """Set the slice slider to the first slice to show of a newly opened study.

    If `start` changes later (once the networks have run), the slider follows unless the user has
    moved it.

    Args:
        fingerprint: Fingerprint of the study.
        n_slices: Number of slices of the study, >= 1.
        start: Slice to show first.
    """
    entered, earlier = st.session_state.get(_ENTERED, (None, None))
    current = st.session_state.get(SLICE_KEY)
    leads = entered is None or link.came_back()
    wanted = st.session_state.pop(_WANTED_SLICE, None)
    if wanted is not None and wanted < n_slices:
        st.session_state[SLICE_KEY] = wanted
    elif leads and (linked := _slice_from_url(n_slices)) is not None:
        st.session_state[SLICE_KEY] = linked
    elif entered != fingerprint or current is None or current == earlier or current >= n_slices:
        st.session_state[SLICE_KEY] = start
    st.session_state[_ENTERED] = (fingerprint, start)


def current_slice() -> int:
    """Index of the slice on show."""
    return int(st.session_state[SLICE_KEY])


def go_to_slice(index: int) -> None:
    """Show another slice. For callbacks: they run before the slider is drawn."""
    st.session_state[SLICE_KEY] = index


def show_slice_in_url() -> None:
    """Make the URL a link to the slice on show."""
    link.show(SLICE_KEY, str(current_slice()))


def enter_points(bundle: str, *, patient: float, vertebra: float) -> None:
    """Set the threshold sliders to a bundle's operating points when the bundle changes.

    The first time and after Back, the thresholds in the URL take precedence.
    """
    points = (bundle, patient, vertebra)
    drawn = {PATIENT_THRESHOLD_KEY, VERTEBRA_THRESHOLD_KEY} <= st.session_state.keys()
    back = link.came_back()
    if st.session_state.get(_POINTS) != points or not drawn or back:
        first = _POINTS not in st.session_state or back
        st.session_state[_POINTS] = points
        reset_thresholds()
        if first:
            for key in (PATIENT_THRESHOLD_KEY, VERTEBRA_THRESHOLD_KEY):
                st.session_state[key] = link.value(key, link.share, st.session_state[key])
    st.session_state.update(st.session_state.pop(_WANTED_THRESHOLDS, {}))


def want_thresholds(patient: float | None = None, vertebra: float | None = None) -> None:
    """Set thresholds of the networks that are shown next; None leaves one; for callbacks."""
    wanted = {PATIENT_THRESHOLD_KEY: patient, VERTEBRA_THRESHOLD_KEY: vertebra}
    st.session_state[_WANTED_THRESHOLDS] = {k: v for k, v in wanted.items() if v is not None}


def reset_thresholds() -> None:
    """Reset both thresholds to the operating points of the bundle."""
    _, patient, vertebra = st.session_state[_POINTS]
    st.session_state[PATIENT_THRESHOLD_KEY] = patient
    st.session_state[VERTEBRA_THRESHOLD_KEY] = vertebra


def thresholds() -> tuple[float, float]:
    """Current patient and vertebra threshold; the URL becomes a link to them."""
    for key in (PATIENT_THRESHOLD_KEY, VERTEBRA_THRESHOLD_KEY):
        link.show(key, repr(float(st.session_state[key])))
    return (
        float(st.session_state[PATIENT_THRESHOLD_KEY]),
        float(st.session_state[VERTEBRA_THRESHOLD_KEY]),
    )


def take_vertebra_threshold(component: str) -> None:
    """Set the vertebra threshold to the one in a component's state; for its callback."""
    reported = (st.session_state.get(component) or {}).get("threshold")
    if reported is not None:
        st.session_state[VERTEBRA_THRESHOLD_KEY] = min(max(float(reported), 0.0), 1.0)


def form_key(field: str) -> str:
    """Widget key of a field of the training form."""
    return f"train_{field}"


def fill_form(values: Mapping[str, Any], *, overwrite: bool = False) -> None:
    """Put values into the training form before it is drawn.

    Args:
        values: Values by field.
        overwrite: Also replace values that the form has already.
    """
    for field, value in values.items():
        if overwrite or form_key(field) not in st.session_state:
            st.session_state[form_key(field)] = value


def form_value(field: str) -> Any:  # noqa: ANN401 - any widget's value
    """Value of a field of the training form."""
    return st.session_state[form_key(field)]


def show_section(section: str) -> None:
    """Show this section of the training page when it is drawn next."""
    st.session_state[_NEXT_SECTION] = section


def enter_section() -> None:
    """Apply `show_section`, before the switch between sections is drawn."""
    if _NEXT_SECTION in st.session_state:
        st.session_state[TRAINING_SECTION_KEY] = st.session_state.pop(_NEXT_SECTION)


def is_linked(key: str) -> bool:
    """Whether the URL names a run or a search and the training page is drawn for the first time."""
    return key in st.query_params and TRAINING_SECTION_KEY not in st.session_state


def choose_run(run_id: str | None) -> None:
    """Show this run in the runs section; None for the first."""
    st.session_state[RUN_KEY] = run_id
    if run_id is None:
        link.show(RUN_KEY, None)


def clicked_row(table: str) -> int | None:
    """Index of the row that was clicked in a table, anywhere in it; for the table's callback.

    The table's selection mode is `ROW_CLICKS`.
    """
    event = st.session_state.get(table) or {}
    selection = event.get("selection", {})
    rows = selection.get("rows", []) or [row for row, _ in selection.get("cells", [])]
    return int(rows[0]) if rows else None


def start_with(key: str, value: object) -> None:
    """Give a widget its first value; one that the page or a link sets must have no default."""
    st.session_state.setdefault(key, value)


def recall(key: str, default: Any = None) -> Any:  # noqa: ANN401 - any remembered value
    """Value that a page has remembered under a key."""
    return st.session_state.get(key, default)


def remember(key: str, value: object) -> None:
    """Remember a value for later runs of a page."""
    st.session_state[key] = value


def query(names: Sequence[str]) -> dict[str, str]:
    """The query parameters of these names that the URL has."""
    return {name: st.query_params[name] for name in names if name in st.query_params}


def show_query(names: Sequence[str], values: Mapping[str, str]) -> None:
    """Make the URL hold these values, and none of the other names."""
    for name in names:
        link.show(name, values.get(name))


def studies_filter(data_set: str) -> tuple[StudyFilter, int] | None:
    """Study filter of a data set and how often it has changed; None before the first."""
    known, wanted, serial = st.session_state.get(_FILTER, (None, None, 0))
    return (wanted, serial) if known == data_set and wanted is not None else None


def is_first_data_set() -> bool:
    """Whether no studies have been filtered in this session yet."""
    return _FILTER not in st.session_state


def filter_studies(data_set: str, wanted: StudyFilter) -> None:
    """Set the filter of a data set's studies."""
    st.session_state[_FILTER] = (data_set, wanted, filter_changes() + 1)
    st.session_state[SEARCH_KEY] = wanted.text


def filter_changes() -> int:
    """How often the filter has been set by now."""
    _, _, serial = st.session_state.get(_FILTER, (None, None, 0))
    return serial


def dataset_study(data_set: str) -> str | None:
    """Study open on the Dataset page: the chosen one, else the one in the URL."""
    known, study = st.session_state.get(_DATASET_STUDY, (None, None))
    return study if known == data_set else st.query_params.get(STUDY_KEY)


def open_dataset_study(data_set: str, study: str | None) -> None:
    """Open a study on the Dataset page; None closes it."""
    st.session_state[_DATASET_STUDY] = (data_set, study)
    st.session_state[_OPENINGS] = dataset_openings() + 1


def dataset_openings() -> int:
    """How often a study was opened or closed on the Dataset page."""
    return st.session_state.get(_OPENINGS, 0)


def noise_choice() -> tuple[str, int, int]:
    """Current method, threshold and number of groups of the noise reduction on Preprocessing."""
    return (
        str(st.session_state.get("pre_noise") or "none"),
        int(st.session_state.get("pre_threshold", 30)),
        int(st.session_state.get("pre_clusters", 4)),
    )


def clicked_mark(chart: str) -> tuple[int, ...] | None:
    """The `customdata` of the bar or marker that was clicked; for the chart's callback."""
    event = st.session_state.get(chart) or {}
    points = event.get("selection", {}).get("points", [])
    found = points[0].get("customdata") if points else None
    if found is None:
        return None
    return tuple(int(value) for value in found) if isinstance(found, list) else (int(found),)


def leave_message(message: str) -> None:
    """Leave a message for the next run of the page."""
    st.session_state[_MESSAGE] = message


def take_message() -> str | None:
    """Take the message left for this run of the page, if any."""
    return st.session_state.pop(_MESSAGE, None)


def enter_vertebra(names: Sequence[str]) -> None:
    """Choose the vertebra to explain that the URL names, unless one is chosen already."""
    named = linked_vertebra(names)
    if link.came_back() or (EXPLAIN_KEY not in st.session_state and named is not None):
        st.session_state[EXPLAIN_KEY] = named


def linked_vertebra(names: Sequence[str]) -> str | None:
    """Vertebra that the URL names; None if it names none."""
    named = st.query_params.get(VERTEBRA_QUERY)
    return named if named in names else None


def _slice_from_url(n_slices: int) -> int | None:
    return link.value(SLICE_KEY, lambda text: slice_number(text, n_slices), None)
