"""The slice viewer: picture, slice slider and HU window."""

from __future__ import annotations

from html import escape
from typing import Final

import streamlit as st

from core.constants import DISPLAY_WINDOWS
from core.types import CTVolume, HuWindow
from dashboard import state
from dashboard.components.slice_image import display_image, edge_letters, hu_range

PRESETS: Final = ("Bone", "Soft tissue", "Custom")


def slice_viewer(volume: CTVolume) -> None:
    """Show the current slice in the chosen window, with the controls for both."""
    window = _window_picker()
    index = state.current_slice()
    with st.container(key="viewport"):
        st.image(
            display_image(volume, index, window),
            width="stretch",
            output_format="PNG",
            alt=f"CT slice {index} of 0 to {volume.n_slices - 1}",
        )
        st.html(_overlay(volume, index, window))
    if volume.n_slices > 1:
        st.slider(
            f"Slice, 0 (head) to {volume.n_slices - 1}",
            0,
            volume.n_slices - 1,
            key=state.SLICE_KEY,
            persist_state="session",
        )
    low, high = hu_range(volume, index)
    text = (
        f"This slice holds {low} to {high} HU; black is {window.lower:g} HU and below, "
        f"white {window.upper:g} HU and above."
    )
    st.caption(text.replace("-", "−"))


def _window_picker() -> HuWindow:
    preset = st.segmented_control(
        "HU window",
        PRESETS,
        default=PRESETS[0],
        required=True,
        key="window",
        persist_state="session",
        label_visibility="collapsed",
    )
    if preset != "Custom":
        return HuWindow(*DISPLAY_WINDOWS[preset.lower()])
    with st.container(horizontal=True):
        center, width = DISPLAY_WINDOWS["bone"]
        center = st.number_input(
            "Centre (HU)",
            -1500.0,
            4000.0,
            center,
            25.0,
            format="%.0f",
            key="window_center",
            persist_state="session",
        )
        width = st.number_input(
            "Width (HU)",
            1.0,
            8000.0,
            width,
            50.0,
            format="%.0f",
            key="window_width",
            persist_state="session",
        )
    return HuWindow(center, width)


def _overlay(volume: CTVolume, index: int, window: HuWindow) -> str:
    """Corner texts and edge letters over the picture, as a reading room has them."""
    left, right, upper, lower = edge_letters(volume)
    _, row_mm, column_mm = volume.spacing_mm
    corners = {
        "tl": f"slice {index} / {volume.n_slices - 1}",
        "tr": f"z {volume.z_mm[index]:.1f} mm".replace("-", "−"),
        "bl": f"C {window.center:g}  W {window.width:g} HU",
        "br": f"{row_mm:.2f} × {column_mm:.2f} mm",
    }
    texts = "".join(
        f'<span class="lab-over-{place}">{escape(text)}</span>' for place, text in corners.items()
    )
    letters = "".join(
        f'<b class="lab-over-{place}">{letter}</b>'
        for place, letter in (("w", left), ("e", right), ("n", upper), ("s", lower))
    )
    return f'<div class="lab-overlay" aria-hidden="true">{texts}{letters}</div>'
