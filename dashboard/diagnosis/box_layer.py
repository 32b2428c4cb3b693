"""Predicted boxes over the slices of Diagnosis."""

from __future__ import annotations

import streamlit as st

from core.constants import VERTEBRAE
from core.inference.study_scores import StudyScores
from core.inference.verdict import judge
from core.models.pairs import BundlePair
from dashboard.diagnosis.verdict import current_thresholds
from dashboard.session.wording import literal
from dashboard.studies.cohort import bundle_key
from dashboard.studies.localizer import StudyBoxes, localizer_in_use, study_boxes
from dashboard.studies.open_study import OpenStudy
from dashboard.widgets.box_request import box_progress, box_request
from dashboard.widgets.slice_viewer.overlays import BoxOverlay, predicted_boxes


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
        by_boxes = pair is not None and pair.fracture.config.gives_boxes
        # The localiser is running already for the verdict.
        if not by_boxes or scores is not None:
            box_request(study)
        return None
    st.caption(literal(_summary(found)))
    if found.boxes and scores is not None and pair is not None:
        patient, vertebra = current_thresholds(pair)
        # The sentence is about calls.
        if judge(scores, pair, patient=patient, vertebra=vertebra).calls.patient is not None:
            st.caption(literal(scores_sentence(found, scores, pair, (patient, vertebra))))
    return predicted_boxes(found.boxes) if found.boxes else None


def scores_sentence(
    found: StudyBoxes, scores: StudyScores, pair: BundlePair, thresholds: tuple[float, float]
) -> str:
    """One sentence on how the scores of box, slice, vertebra and patient belong together.

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
    how = (
        "which the verdict weighs with the other slices of each vertebra"
        if pair.fracture.config.gives_boxes
        else f"of which the verdict by {pair.fracture.config.name} takes no account"
    )
    return (
        f"A box score rates one box on one slice, {how}: the highest box score "
        f"{best.score:.2f} (threshold {found.threshold:.2f}) is on slice {best.slice_index}, whose "
        f"fracture probability is {scores.patient.slice_probs[best.slice_index]:.3f}; the highest "
        f"fracture probability of a vertebra is {_called(float(probs[top]), vertebra)} for "
        f"{VERTEBRAE[top]}, and that of the patient "
        f"{_called(scores.patient.patient_prob, patient)}."
    )


def _called(prob: float, threshold: float) -> str:
    word = "called" if prob >= threshold else "not called"
    return f"{prob:.3f} (threshold {threshold:.3f}: {word})"


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
