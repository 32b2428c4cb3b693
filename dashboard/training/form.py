"""Form of a new training run: what matters for its task, and the rest under “Advanced”."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from core.config import PROJECT_ROOT
from dashboard.session import state
from dashboard.training.form_choices import data_roots, vertebra_bundles
from dashboard.training.form_fields import FormField
from dashboard.training.form_layout import advanced, choices_of, essential
from dashboard.training.form_state import start_form, take_task, values_now
from dashboard.training.plan import show_plan
from dashboard.training.recipe_bar import recipe_bar
from dashboard.training.run_form import fold_choices
from dashboard.widgets.frame import panel_title


@st.fragment
def training_form() -> None:
    """Draw the form and the plan of a run, and start it."""
    start_form()
    with st.container(key="training_form"):
        asked, planned = st.columns([3, 2], gap="large")
    with asked, st.container(key="training_fields"):
        recipe_bar()
        _keep_to_choices()
        _groups(essential(values_now()))
        with st.expander("Advanced", icon=":material/tune:", key="training_advanced"):
            # What was just changed above decides which fields there are.
            _groups(advanced(values_now()))
    with planned, st.container(key="plan"):
        show_plan()


def _groups(groups: dict[str, tuple[FormField, ...]]) -> None:
    for group, fields in groups.items():
        panel_title(group)
        for start in range(0, len(fields), 3):
            for column, field in zip(st.columns(3), fields[start : start + 3], strict=False):
                with column:
                    _widget(field)
                    st.caption(field.explanation)


def _keep_to_choices() -> None:
    """Replace values that the task does not have, before the fields are drawn."""
    for key in ("type", "head", "backbone", "channels"):
        choices = choices_of(key, values_now())
        if choices and state.form_value(key) not in choices:
            state.fill_form({key: choices[0]}, overwrite=True)


def _widget(field: FormField) -> None:
    common: dict[str, Any] = {
        "label": field.label, "key": state.form_key(field.key), "persist_state": "session",
    }  # fmt: skip
    if field.kind in ("choice", "data_root", "bundle"):
        st.selectbox(
            options=_options(field), format_func=_choice_name,
            accept_new_options=field.kind != "choice",
            on_change=take_task if field.key == "task" else None, **common,
        )  # fmt: skip
    elif field.kind == "switch":
        st.toggle(**common)
    elif field.kind == "whole":
        low, high = (None if bound is None else int(bound) for bound in (field.low, field.high))
        st.number_input(
            step=1, min_value=low, max_value=high, placeholder=field.empty, **common
        )  # fmt: skip
    elif field.kind == "number":
        form = "%.1e" if field.step < 1e-3 else "%.4g"
        st.number_input(
            step=field.step, min_value=field.low, max_value=field.high, format=form,
            placeholder=field.empty, **common,
        )  # fmt: skip
    else:
        st.text_input(**common)


def _options(field: FormField) -> tuple[Any, ...]:
    value = state.form_value(field.key)
    if field.key == "fold":
        options = fold_choices(max(int(state.form_value("folds")), 2))
        if value not in options:
            state.fill_form({"fold": options[0]}, overwrite=True)
        return options
    if field.kind == "choice":
        return choices_of(field.key, values_now()) or field.choices
    known = data_roots() if field.kind == "data_root" else ("", *vertebra_bundles())
    return known if value in known else (value, *known)


def _choice_name(value: object) -> str:
    """Name of a choice; a folder of this checkout by its relative path."""
    return "none" if value in ("", None) else str(value).removeprefix(f"{PROJECT_ROOT}/")


def section_switch(sections: Sequence[str]) -> str:
    """Let the user choose a part of the page; a link to a run or a search opens its part.

    Args:
        sections: Names of the parts; the first is the default.
    """
    for key, section in ((state.SWEEP_KEY, "Sweeps"), (state.RUN_KEY, "Runs")):
        if state.is_linked(key):
            state.show_section(section)
    state.enter_section()
    state.start_with(state.TRAINING_SECTION_KEY, sections[0])
    chosen = st.segmented_control(
        "Part of the page",
        sections,
        required=True,
        key=state.TRAINING_SECTION_KEY,
        label_visibility="collapsed",
        persist_state="session",
    )
    return chosen or sections[0]
