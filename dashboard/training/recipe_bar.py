"""Recipes and presets above the training form."""

from __future__ import annotations

from typing import Final

import streamlit as st

from core.errors import CSpineError
from dashboard.session import state
from dashboard.session.access import may_change
from dashboard.training.form_state import asked_config
from dashboard.training.presets import RECIPES, delete_preset, presets, recipe, save_preset
from dashboard.training.run_form import form_values
from dashboard.widgets.notices import show_error, succeeds

_KEY: Final = "recipe"


def recipe_bar() -> None:
    """Let the user fill the form from a recipe or a preset, and save a preset."""
    saved = presets()
    with st.container(horizontal=True, vertical_alignment="bottom", key="recipe_bar"):
        st.selectbox(
            "Recipe or preset", [*RECIPES, *saved], index=None, key=_KEY, on_change=_fill,
            placeholder="Fill the form from …", width=320,
            help="Recipes are the settings of the method and of the shipped networks, on the data "
            "set in use.",
        )  # fmt: skip
        if may_change():
            _save_button(list(saved))


def _fill() -> None:
    """Fill the form with the chosen settings; a callback, as the fields are drawn after it."""
    chosen = state.recall(_KEY)
    if chosen is None:
        return
    try:
        config = recipe(chosen) if chosen in RECIPES else presets()[chosen]
    except (CSpineError, KeyError) as error:
        show_error(error if isinstance(error, CSpineError) else "This preset was deleted.")
        return
    state.fill_form(form_values(config), overwrite=True)


def _save_button(saved: list[str]) -> None:
    with st.popover("Save as preset", icon=":material/bookmark_add:", key="presets"):
        with st.form("preset_form", border=False, enter_to_submit=True):
            name = st.text_input("Name of the preset", max_chars=60, key="preset_name")
            if st.form_submit_button("Save", type="primary") and succeeds(
                lambda: save_preset(" ".join(name.split()), asked_config())
            ):
                state.leave_message(f"Preset “{name}” was saved.")
                st.rerun(scope="app")
        if not saved:
            return
        chosen = st.selectbox("Saved presets", saved, key="preset_saved")
        if st.button("Delete", icon=":material/delete:", key="preset_delete") and succeeds(
            lambda: delete_preset(chosen)
        ):
            state.leave_message(f"Preset “{chosen}” was deleted.")
            st.rerun(scope="app")
