"""Preparation of one slice: each step, augmentation, noise reduction."""

from __future__ import annotations

from typing import Final

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.config import SlicePreparation
from core.constants import DISPLAY_WINDOWS
from core.errors import CSpineError
from core.preprocessing.augmentation import (
    augmentation_seed,
    draws_of_batch,
)
from core.preprocessing.intensity import window_to_uint8
from core.preprocessing.noise_reduction import explain_noise
from core.preprocessing.spine_field import SpineField, spine_field_of
from core.preprocessing.steps import PreparationSteps, preparation_steps
from core.types import HuWindow
from dashboard.background.shelf import Shelf
from dashboard.preprocessing.noise_histogram import noise_histogram
from dashboard.preprocessing.overlay_image import overlay_image
from dashboard.preprocessing.preview import (
    STRENGTHS,
    SliceTruth,
    apply_draws,
    describe_draw,
    idle_changes,
    only,
    slice_truth,
    training_values,
)
from dashboard.preprocessing.settings import (
    COMBINED,
    ONE,
    augmentation_ranges,
    chosen_augmentation,
    chosen_preparation,
    noise_settings,
)
from dashboard.session import state
from dashboard.session.urls import PAGES
from dashboard.studies.masks import mask_of
from dashboard.studies.open_study import OpenStudy
from dashboard.widgets.frame import panel_title
from dashboard.widgets.notices import show_warning
from dashboard.widgets.plot_area import show_chart
from dashboard.widgets.slice_viewer.viewer import slice_viewer
from dashboard.widgets.study_layers import slice_with_box, study_layers
from dashboard.widgets.study_picker import StudyChoice

PARTS: Final = ("Step by step", "Augmentation", "Noise reduction")
VIEWER_KEY: Final = "pre_viewer"
_SPINES: Final = Shelf[SpineField | None](8)


@st.fragment
def preprocessing_bench(study: OpenStudy, choice: StudyChoice) -> None:
    """Draw the page; a slider redraws only this part.

    Args:
        study: Study to show.
        choice: Source of the study, with its truth.
    """
    with st.container(key="bench"):
        slices, controls = st.columns([16, 9], gap="medium")
    with slices:
        index = _choose_slice(study, choice)
    with controls:
        panel_title(
            "How a slice is prepared",
            "Scroll to a slice in the viewer; its preparation is shown below, step by step.",
        )
        preparation = chosen_preparation()
    spine = _spine(study, preparation.field_mm)
    steps = preparation_steps(study.volume, index, preparation, spine)
    truth = _truth(study, choice, index, preparation, spine)
    part = st.segmented_control(
        "What to look at", PARTS, default=PARTS[0], required=True, key="pre_part",
        persist_state="session", label_visibility="collapsed",
    )  # fmt: skip
    with st.container(key="preview"):
        if part == PARTS[0]:
            _steps(steps, preparation, truth)
        elif part == PARTS[1]:
            _augmentation(steps, preparation, truth)
        else:
            _noise(steps, preparation)


def _choose_slice(study: OpenStudy, choice: StudyChoice) -> int:
    n_slices, boxed = study.volume.n_slices, slice_with_box(choice.record, study.volume)
    state.enter_study(study.fingerprint, n_slices, n_slices // 2 if boxed is None else boxed)
    slice_viewer(
        study, key=VIEWER_KEY, slice_index=state.current_slice(), panes=("axial", "sagittal"),
        overlays=study_layers(study, choice.record, reveal=True), height=380, leads=True,
        study_id=choice.study_id,
    )  # fmt: skip
    state.show_slice_in_url()
    return state.current_slice()


def _spine(study: OpenStudy, side_mm: float | None) -> SpineField | None:
    def follow() -> SpineField | None:
        with st.spinner("Following the spine …"):
            return spine_field_of(study.volume, side_mm)

    return _SPINES.get((study.fingerprint, side_mm), follow, owner=study.owner)


def _truth(
    study: OpenStudy, choice: StudyChoice, index: int, preparation: SlicePreparation,
    spine: SpineField | None,
) -> SliceTruth:  # fmt: skip
    mask = None
    if choice.record is not None and choice.record.mask_file is not None:
        try:
            mask = mask_of(choice.record.mask_file, study)
        except CSpineError as error:
            show_warning(error)
    return slice_truth(choice.record, mask, study.volume, index, preparation, spine)


def _steps(steps: PreparationSteps, preparation: SlicePreparation, truth: SliceTruth) -> None:
    window = preparation.windows[0]
    full = window_to_uint8(steps.hu, HuWindow(*DISPLAY_WINDOWS["full"]))
    kept = f"a square of {preparation.field_mm:g} mm along the spine" if preparation.field_mm else (
        "the whole slice" if preparation.crop == 1 else f"the central {preparation.crop:.0%}"
    )  # fmt: skip
    by_window = (
        "three windows, the first shown"
        if preparation.channels == "windows"
        else f"black at {window.lower:g} HU, white at {window.upper:g} HU".replace("-", "−")
    )
    low, high = int(steps.hu.min()), int(steps.hu.max())
    shown: list[tuple[str, str, NDArray[np.uint8]]] = [
        ("1 · Hounsfield units", f"{low:,} to {high:,} HU as scanned, {steps.hu.shape[1]} × "
         f"{steps.hu.shape[0]} px".replace("-", "−"), full),
        ("2 · Window to 0–255", f"{kept.capitalize()}; {by_window}", steps.windowed),
        (f"3 · Resized to {preparation.size}²", "Averaged over the area of each new pixel when "
         "shrinking", steps.resized),
    ]  # fmt: skip
    if preparation.noise.method != "none":
        shown.append(("4 · Noise reduced", "See the part “Noise reduction”", steps.cleaned))
    _pictures(shown)
    panel_title("What the network sees: three channels", _CHANNEL_AIDS[preparation.channels])
    channels = [
        (f"Channel {k + 1}", name, steps.channels[k]) for k, name in enumerate(steps.channel_names)
    ]
    composite = overlay_image(steps.channels, boxes=truth.boxes, labels=truth.labels)
    known = "with truth: " + _known(truth) if _known(truth) else "no truth known"
    _pictures([*channels, ("All three as colours", known, composite)])
    _hand_over(preparation)


_CHANNEL_AIDS: Final = {
    "grey": "All three are equal, so hue and saturation have no effect.",
    "windows": "Bone, soft tissue and spongy bone: a fracture may show in one of them only.",
    "neighbours": "The slices above and below: differences between slices appear as colour.",
}


def _known(truth: SliceTruth) -> str:
    boxes = f"{len(truth.boxes)} box{'' if len(truth.boxes) == 1 else 'es'}" if truth.boxes else ""
    labelled = truth.labels is not None and bool(truth.labels.any())
    return ", ".join(part for part in (boxes, "vertebra outlines" if labelled else "") if part)


def _augmentation(
    steps: PreparationSteps, preparation: SlicePreparation, truth: SliceTruth
) -> None:
    controls, grid = st.columns([1, 3], gap="large")
    with controls, st.container(key="strengths"):
        how = st.segmented_control("Augmentation", (ONE, COMBINED), default=COMBINED, required=True,
                                   key="pre_how", persist_state="session")  # fmt: skip
        names = list(STRENGTHS)
        if how == ONE:
            names = [st.selectbox("Which", names, key="pre_which", persist_state="session",
                                  format_func=str.capitalize)]  # fmt: skip
        seed = st.number_input("Seed of the run", 0, 10_000, 0, key="pre_seed",
                               persist_state="session")  # fmt: skip
        count = st.slider("Draws", 2, 16, 8, key="pre_draws", persist_state="session")
        with_truth = st.toggle("Boxes and masks move along", True, key="pre_truth",
                               persist_state="session")  # fmt: skip
        ranges = augmentation_ranges()
    used = ranges if how == COMBINED else only(ranges, names[0])
    changes = draws_of_batch(augmentation_seed(int(seed), 0), 0, count, used)
    draws = apply_draws(steps.network, truth, changes)
    with grid:
        panel_title(
            f"{count} draws of this slice",
            "Exactly the first batch of a run with this seed, as if all its slices were this one; "
            "every epoch makes new draws.",
        )
        _idle_note(idle_changes(steps.network, used), preparation)
        shown = [
            (f"Draw {k + 1}", describe_draw(draw.change, names),
             overlay_image(draw.image, boxes=draw.truth.boxes if with_truth else (),
                           labels=draw.truth.labels if with_truth else None))
            for k, draw in enumerate(draws)
        ]  # fmt: skip
        _pictures(shown)
        _hand_over(preparation)


def _idle_note(idle: tuple[str, ...], preparation: SlicePreparation) -> None:
    """Name the augmentations that have no effect here, and why."""
    if not idle:
        return
    which = " and ".join(idle)
    verb = "changes" if len(idle) == 1 else "change"
    why = ""
    if preparation.channels == "grey" and {"hue", "saturation"} & set(idle):
        why = (
            " The three channels are equal, and both act on differences only: with the "
            "channels “three HU windows” or “slice above, this, below” they have an effect."
        )
    st.info(
        f"{which.capitalize()} {verb} nothing here, byte for byte.{why}", icon=":material/info:"
    )


def _noise(steps: PreparationSteps, preparation: SlicePreparation) -> None:
    noise_settings()
    result = explain_noise(steps.resized, preparation.noise)
    difference = np.abs(steps.resized.astype(np.int16) - result.image).astype(np.uint8)
    most = int(difference.max())
    gain = 255 // most if most else 1
    groups = len(result.means)
    mask = (result.groups.astype(np.uint16) * 255 // max(groups - 1, 1)).astype(np.uint8)
    _pictures(
        [
            ("Before", "The resized slice, 0–255", steps.resized),
            ("Mask", _MASK_AIDS[preparation.noise.method].format(k=groups), mask),
            ("After", "What the network would see", result.image),
            ("Difference", f"Up to {most} grey levels" + (f", shown × {gain}" if gain > 1 else ""),
             (difference * gain).astype(np.uint8)),
        ]
    )  # fmt: skip
    panel_title("Borders of the grey levels", _NOISE_AIDS[preparation.noise.method])
    show_chart(
        noise_histogram(result),
        "noise_histogram",
        "Histogram of grey levels with the borders of the clusters",
    )
    _hand_over(preparation)


_MASK_AIDS: Final = {
    "none": "Choose a method above",
    "threshold": "White is kept, black becomes background",
    "otsu": "White is kept, black becomes background",
    "kmeans": "{k} clusters, the brightest white",
}
_NOISE_AIDS: Final = {
    "none": "Air is the tall peak at the left, bone the long tail at the right.",
    "threshold": "Everything darker than the line becomes black.",
    "otsu": "The line separates the two classes that differ most (Otsu, 1979).",
    "kmeans": "Solid lines separate the clusters, dotted lines are their means. Solved exactly on "
    "the histogram, without a random start.",
}


def _pictures(shown: list[tuple[str, str, NDArray[np.uint8]]]) -> None:
    """Draw images, four per row, each with a title and one line."""
    for start in range(0, len(shown), 4):
        for column, (title, aid, image) in zip(
            st.columns(4), shown[start : start + 4], strict=False
        ):
            with column:
                panel_title(title, aid)
                picture = image if image.ndim == 3 else overlay_image(image)
                st.image(picture, width="stretch", output_format="PNG", alt=title)


def _hand_over(preparation: SlicePreparation) -> None:
    """Offer to fill the Training page's form with the settings of every part of this page.

    Without a look at Augmentation the form's augmentation is unchanged.
    """
    if st.button(
        "Use these settings", type="primary", icon=":material/model_training:",
        help="Opens the Training page's form with these settings; nothing starts yet.",
    ):  # fmt: skip
        ranges, seed = chosen_augmentation() or (None, 0)
        state.fill_form(training_values(preparation, ranges, seed=seed), overwrite=True)
        state.show_section("New run")
        state.leave_message("The form has the settings of the Preprocessing page.")
        st.switch_page(PAGES / "training.py")
