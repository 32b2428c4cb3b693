"""The form that makes a reader study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from core.errors import CSpineError
from core.reader_study.design import draw_cases
from core.reader_study.records import MAX_CASES, MAX_SEED, StudyCase, planned
from core.types import StudyRecord
from dashboard.reader_study.model_scores import offered_models, pair_of, start_scoring
from dashboard.reader_study.place import leave_problem
from dashboard.reader_study.services import start_study
from dashboard.session import state
from dashboard.studies.cohort import CurrentDataSet, bundle_title
from dashboard.studies.current_set import current_cohort
from dashboard.widgets.notices import show_error

_DRAWN, _CHOSEN = "Drawn at random", "Chosen"
_HELP = {"Without help": "without", "With help": "with", "Crossover": "crossover"}
_ORDER = {"The same for all": "same", "Random for each reader": "per reader"}


def new_study(*, expanded: bool, made: Callable[[str], None]) -> None:
    """Draw the form.

    Args:
        expanded: Whether it is open at first.
        made: Called with the code of a new study.
    """
    with st.expander("Make a reader study", expanded=expanded, icon=":material/add:"):
        try:
            cohort = current_cohort()
        except CSpineError as error:
            show_error(error)
            return
        known = () if cohort is None else _labelled(cohort.studies)
        if cohort is None or not known:
            st.info("A reader study needs studies with labels; choose such a data set on Dataset.")
            return
        _fields(cohort, known, made)


def _labelled(records: Sequence[StudyRecord]) -> tuple[StudyRecord, ...]:
    return tuple(record for record in records if record.fractured is not None)


def _fields(
    cohort: CurrentDataSet, known: tuple[StudyRecord, ...], made: Callable[[str], None]
) -> None:
    names = {record.study_id: f"Study {k}" for k, record in enumerate(cohort.studies, start=1)}
    title, limit = st.columns([3, 1])
    with title:
        st.text_input("Title", "Reader study", key="new_title", max_chars=80)
    with limit:
        st.number_input(
            "Seconds for each scan", 0, 3600, 0, step=30, key="new_limit",
            help="0: as long as a reader likes. After that time the scan is hidden; the answer is "
            "still taken, and its time is noted.",
        )  # fmt: skip
    which, count, seed = st.columns([2, 1, 1], vertical_alignment="bottom")
    with which:
        drawn = st.segmented_control(
            "Cases", [_DRAWN, _CHOSEN], default=_DRAWN, required=True, key="new_cases"
        )
    most = min(len(known), MAX_CASES)
    with count:
        st.number_input(
            "Number of cases", 2, most, min(most, 8), key="new_count", disabled=drawn != _DRAWN,
            help="Half of them are fractured.",
        )  # fmt: skip
    with seed:
        st.number_input(
            "Seed", 0, MAX_SEED, 1, key="new_seed",
            help="Draws the cases, the halves of a crossover and the orders; the same seed draws "
            "the same.",
        )  # fmt: skip
    if drawn == _CHOSEN:
        st.multiselect(
            "Studies", [record.study_id for record in known], key="new_chosen",
            format_func=lambda uid: f"{names[uid]} · …{uid[-6:]}", max_selections=MAX_CASES,
        )  # fmt: skip
    _plan_fields()
    st.button(
        "Make it", key="new_make", type="primary", icon=":material/check:",
        on_click=_make, args=(cohort, known, made),
    )  # fmt: skip


def _plan_fields() -> None:
    help_, order, model = st.columns(3)
    models = {bundle.folder.name: bundle for bundle in offered_models()}
    with help_:
        st.segmented_control(
            "The model's help", list(_HELP) if models else ["Without help"],
            default="Without help", required=True, key="new_help",
            help="Crossover: one group of readers sees the model's scores in the first half of the "
            "cases, the other group in the second.",
        )  # fmt: skip
    with order:
        st.segmented_control(
            "Order", list(_ORDER), default="The same for all", required=True, key="new_order"
        )
    with model:
        if models:
            st.selectbox(
                "Model", list(models), key="new_model",
                format_func=lambda name: bundle_title(models[name]),
            )  # fmt: skip


def _make(
    cohort: CurrentDataSet, known: tuple[StudyRecord, ...], made: Callable[[str], None]
) -> None:
    """Make what the form describes; called before the page is drawn again."""
    try:
        seed = int(_value("new_seed"))
        cases = _cases(known, seed)
        plan = planned(
            title=str(_value("new_title")).strip(),
            root=cohort.root.absolute(),
            cases=cases,
            help=_HELP[_value("new_help")],
            order=_ORDER[_value("new_order")],
            seed=seed,
            limit_s=int(_value("new_limit")) or None,
        )
        study = start_study(plan)
        made(study.code)
        chosen = {bundle.folder.name: bundle for bundle in offered_models()}.get(
            state.recall("new_model") or ""
        )
        pair = None if chosen is None else pair_of(chosen)
        if pair is not None:
            start_scoring(study, pair)
    except CSpineError as error:
        leave_problem(error)


def _cases(known: tuple[StudyRecord, ...], seed: int) -> tuple[StudyCase, ...]:
    cases = {
        record.study_id: StudyCase.model_validate(
            {"study_id": record.study_id, "fractured": record.fractured}
        )
        for record in known
    }
    if _value("new_cases") == _CHOSEN:
        return tuple(cases[uid] for uid in state.recall("new_chosen") or () if uid in cases)
    return draw_cases(list(cases.values()), int(_value("new_count")), seed)


def _value(key: str) -> Any:  # noqa: ANN401 - any widget's value
    return state.recall(key)
