"""Predicted boxes over the slices of Diagnosis."""

from __future__ import annotations

from html import escape
from typing import Final

import streamlit as st

from core.constants import VERTEBRAE
from core.inference.study_scores import StudyScores
from core.inference.verdict import judge
from core.models.pairs import BundlePair
from dashboard.diagnosis.verdict import current_thresholds
from dashboard.session.state import PATIENT_THRESHOLD_KEY, VERTEBRA_THRESHOLD_KEY
from dashboard.session.wording import literal
from dashboard.studies.cohort import bundle_key, bundle_title
from dashboard.studies.localizer import StudyBoxes, localizer_in_use, study_boxes
from dashboard.studies.open_study import OpenStudy
from dashboard.widgets.box_request import box_progress, box_request
from dashboard.widgets.slice_viewer.overlays import BoxOverlay, predicted_boxes
from dashboard.widgets.threshold_slider.live_parts import (
    Either,
    at_threshold,
    live_part,
    live_parts,
    live_selector,
)

_CALLED: Final = "called"
_NOT_CALLED: Final = "not called"


def box_layer(
    study: OpenStudy, scores: StudyScores | None, pair: BundlePair | None
) -> BoxOverlay | None:
    """Offer to predict boxes, then summarise them; None while there is nothing to draw.

    Args:
        study: Study on show.
        scores: Scores of the networks; None before they have run.
        pair: The networks; None if there are none.
    """
    found = study_boxes(study)
    if found is None:
        chosen = localizer_in_use()
        if chosen is not None and bundle_key(chosen).startswith("run."):
            # Whoever comes from a run wants its boxes.
            box_progress(study, chosen)
            return None
        by_boxes = pair is not None and pair.fracture.config.uses_boxes
        # The localiser is running already for the verdict.
        if not by_boxes or scores is not None:
            box_request(study)
        return None
    st.caption(literal(_summary(found)))
    if found.boxes and scores is not None and pair is not None:
        _scores_line(found, scores, pair)
    return predicted_boxes(found.boxes) if found.boxes else None


def _scores_line(found: StudyBoxes, scores: StudyScores, pair: BundlePair) -> None:
    """Draw `scores_sentence`, which is about calls, where one is made."""
    if judge(scores, pair).calls.patient is None:
        return
    sentence = scores_sentence(found, scores, pair, current_thresholds(pair))
    st.html(f'<p class="lab-fine">{sentence}</p>')
    live_parts("boxes", scores_parts(scores))


def scores_sentence(
    found: StudyBoxes, scores: StudyScores, pair: BundlePair, thresholds: tuple[float, float]
) -> str:
    """One sentence on how the scores of box, slice, vertebra and patient belong together, as HTML.

    Args:
        found: Boxes at or above the operating point, at least one.
        scores: Scores of the networks.
        pair: The networks.
        thresholds: Patient and vertebra threshold.
    """
    best = max(found.boxes, key=lambda box: box.score)
    patient, vertebra = thresholds
    probs = scores.patient.vertebra_probs
    top = int(probs.argmax())
    highest = _called(float(probs[top]), VERTEBRA_THRESHOLD_KEY, vertebra)
    patients = _called(scores.patient.patient_prob, PATIENT_THRESHOLD_KEY, patient)
    how = (
        "which the verdict weighs with the other slices of each vertebra"
        if pair.fracture.config.uses_boxes
        else f"of which the verdict by {escape(bundle_title(pair.fracture))} takes no account"
    )
    return (
        f"A box score rates one box on one slice, {how}: the highest box score "
        f"{best.score:.2f} (threshold {found.threshold:.2f}) is on slice {best.slice_index}, whose "
        f"fracture probability is {scores.patient.slice_probs[best.slice_index]:.3f}; the highest "
        f"fracture probability of a vertebra is "
        f"{highest} for {VERTEBRAE[top]}, and that of the patient {patients}."
    )


def scores_parts(scores: StudyScores) -> list[Either]:
    """The words of `scores_sentence` that follow the thresholds."""
    best = {
        PATIENT_THRESHOLD_KEY: float(scores.patient.patient_prob),
        VERTEBRA_THRESHOLD_KEY: float(scores.patient.vertebra_probs.max()),
    }
    return [
        Either(name, live_selector(f"word:{name}"), prob, _CALLED, _NOT_CALLED)
        for name, prob in best.items()
    ]


def _called(prob: float, name: str, threshold: float) -> str:
    word = live_part(f"word:{name}", _CALLED if prob >= threshold else _NOT_CALLED)
    return f"{prob:.3f} (threshold {at_threshold(name, threshold)}: {word})"


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
