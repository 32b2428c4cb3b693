"""Widgets of the Preprocessing page: preparation, noise reduction and augmentation."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final, get_args

import streamlit as st

from core.config import RunConfig, SlicePreparation
from core.constants import DISPLAY_WINDOWS, ChannelMode
from core.models.pairs import preferred_fracture_bundle
from core.preprocessing.augmentation import AugmentationRanges
from dashboard.preprocessing.preview import STRENGTHS, only
from dashboard.session import state
from dashboard.session.wording import literal
from dashboard.studies.cohort import all_bundles, bundle_title

SIZES: Final = (64, 96, 128, 192, 224, 256, 320, 384, 512)
_PRESETS: Final = {name.capitalize(): window for name, window in DISPLAY_WINDOWS.items()}
_CHANNELS: Final = {
    "grey": "one grey slice three times",
    "windows": "three HU windows",
    "neighbours": "slice above, this, below",
}
_FIELD_MM: Final = 120.0
"""First side of the square where the default network sees whole slices."""
ONE, COMBINED = "One at a time", "Combined, as in training"
METHODS: Final = {
    "none": "None",
    "threshold": "Threshold by value",
    "otsu": "Threshold by Otsu",
    "kmeans": "K-means",
}
_TOP: Final = {
    "rotation": 90.0, "flip": 1.0, "brightness": 0.5, "contrast": 1.0, "saturation": 1.5,
    "hue": 180.0, "shift": 0.3, "zoom": 0.7,
}  # fmt: skip
_STEP: Final = {"rotation": 1.0, "hue": 5.0, "flip": 0.05}


def chosen_preparation() -> SlicePreparation:
    """Draw the widgets of window, crop, size and channels; noise reduction has its own part.

    They start with the input of the default network.
    """
    network = preferred_fracture_bundle(all_bundles())
    first = SlicePreparation() if network is None else network.config.preparation
    _start_with(first)
    with st.container(key="input_settings", horizontal=True, vertical_alignment="bottom"):
        preset = st.selectbox(
            "HU window", [*_PRESETS, "Custom"], key="pre_window", persist_state="session", width=150
        )
        if preset == "Custom":
            center = st.number_input(
                "Centre (HU)", -1500.0, 4000.0, step=25.0, format="%.0f", key="pre_center",
                persist_state="session", width=130,
            )  # fmt: skip
            width = st.number_input(
                "Width (HU)", 1.0, 8000.0, step=50.0, format="%.0f", key="pre_width",
                persist_state="session", width=130,
            )  # fmt: skip
        else:
            center, width = _PRESETS[preset]
        size = st.selectbox(
            "Size (px)", sorted({*SIZES, first.size}), key="pre_size", persist_state="session",
            width=110,
        )  # fmt: skip
        follows = st.toggle(
            "Follow the spine", key="pre_follow", persist_state="session",
            help="Crop a square of fixed size that follows the spine, instead of the centre.",
        )  # fmt: skip
        if follows:
            side = st.slider("Side of the square (mm)", 20, 400, step=1, key="pre_field",
                             persist_state="session", width=210)  # fmt: skip
            crop, field_mm = 1.0, float(side)
        else:
            crop = st.slider("Central share kept", 0.3, 1.0, step=0.05, key="pre_crop",
                             persist_state="session", width=210)  # fmt: skip
            field_mm = None
        channels = st.selectbox(
            "Channels", get_args(ChannelMode), format_func=_CHANNELS.__getitem__,
            key="pre_channels", persist_state="session", width=230,
        )  # fmt: skip
    method, threshold, clusters = state.noise_choice()
    chosen = SlicePreparation(
        size=int(size), crop=crop, field_mm=field_mm, window_center=center, window_width=width,
        channels=channels or "grey", noise_threshold=threshold, noise_clusters=clusters,
        noise_reduction=method,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
    if network is not None:
        _whose_input(bundle_title(network), first, chosen)
    return chosen


def _start_with(first: SlicePreparation, *, again: bool = False) -> None:
    """Give the widgets the values of a preparation, or give them these values again."""
    window = (first.window_center, first.window_width)
    values = {
        "pre_window": next((name for name, known in _PRESETS.items() if known == window), "Custom"),
        "pre_center": first.window_center,
        "pre_width": first.window_width,
        "pre_size": first.size,
        "pre_follow": first.field_mm is not None,
        "pre_field": round(first.field_mm or _FIELD_MM),
        "pre_crop": max(first.crop, 0.3),
        "pre_channels": first.channels,
    }
    for key, value in values.items():
        (state.remember if again else state.start_with)(key, value)


def _whose_input(name: str, first: SlicePreparation, chosen: SlicePreparation) -> None:
    """Name the network that sees this input, or offer to return to its input."""
    ignored = {"noise_reduction", "noise_threshold", "noise_clusters"}
    if first.model_dump(exclude=ignored) == chosen.model_dump(exclude=ignored):
        st.caption(literal(f"This is the input of {name}, the default network."))
        return
    st.button(
        literal(f"Back to the input of {name}"), key="pre_again", type="tertiary",
        icon=":material/restart_alt:", on_click=partial(_start_with, first, again=True),
    )  # fmt: skip


def noise_settings() -> None:
    """Draw the widgets of noise reduction; `chosen_preparation` reads them at the next run."""
    with st.container(key="noise_settings", horizontal=True, vertical_alignment="bottom"):
        method = st.segmented_control(
            "Noise reduction", list(METHODS), format_func=METHODS.__getitem__, key="pre_noise",
            default="none", required=True, persist_state="session",
        )  # fmt: skip
        if method == "threshold":
            st.slider("Grey level from which a pixel is kept", 1, 255, 30, key="pre_threshold",
                      persist_state="session", width=320)  # fmt: skip
        elif method == "kmeans":
            st.slider("Clusters K", 2, 8, 4, key="pre_clusters", persist_state="session", width=320)


def augmentation_ranges() -> AugmentationRanges:
    """Draw the sliders of the ranges of augmentation."""
    usual = AugmentationRanges.of(RunConfig(task="fracture", data_root=Path()))
    chosen: dict[str, float] = {}
    for name, (field, _, label) in STRENGTHS.items():
        chosen[field] = st.slider(
            label, 0.0, _TOP[name], float(getattr(usual, field)), _STEP.get(name, 0.01),
            key=f"pre_{name}", persist_state="session",
        )  # fmt: skip
    return AugmentationRanges(**chosen)


def chosen_augmentation() -> tuple[AugmentationRanges, int] | None:
    """Ranges and seed of the Augmentation part; None if the user has not opened it."""
    held = {field: state.recall(f"pre_{name}") for name, (field, _, _) in STRENGTHS.items()}
    if None in held.values():
        return None
    ranges = AugmentationRanges(**held)
    if state.recall("pre_how") == ONE:
        ranges = only(ranges, str(state.recall("pre_which")))
    return ranges, int(state.recall("pre_seed", 0))
