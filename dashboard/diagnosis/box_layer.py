"""Predicted boxes over the slices of Diagnosis."""

from __future__ import annotations

import streamlit as st

from dashboard.session.wording import literal
from dashboard.studies.localizer import StudyBoxes, study_boxes
from dashboard.studies.open_study import OpenStudy
from dashboard.widgets.box_request import box_request
from dashboard.widgets.slice_viewer.overlays import BoxOverlay, predicted_boxes


def box_layer(study: OpenStudy, *, coming: bool = False) -> BoxOverlay | None:
    """Offer to predict boxes, then summarise them; None while there is nothing to draw.

    Args:
        study: Study on show.
        coming: Whether the localiser is running already for the verdict.
    """
    found = study_boxes(study)
    if found is None:
        if not coming:
            box_request(study)
        return None
    st.caption(literal(_summary(found)))
    return predicted_boxes(found.boxes) if found.boxes else None


def _summary(found: StudyBoxes) -> str:
    """One sentence on the predicted boxes."""
    point = f"≥ {found.threshold:.3f}, the operating point of {found.model}"
    if not found.boxes:
        return f"The localiser predicts no box with a score {point}."
    slices = sorted({box.slice_index for box in found.boxes})
    best = max(found.boxes, key=lambda box: box.score)
    count = len(found.boxes)
    return (
        f"The localiser predicts {count} {'box' if count == 1 else 'boxes'} on {len(slices)} "
        f"{'slice' if len(slices) == 1 else 'slices'} between {slices[0]} and {slices[-1]}, with "
        f"a score {point}; the highest is {best.score:.3f} on slice {best.slice_index}."
    )
