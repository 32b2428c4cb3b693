"""What the model says of a case, for readers who may see it."""

from __future__ import annotations

from html import escape

import streamlit as st

from core.constants import VERTEBRAE
from core.reader_study.records import ModelScores
from dashboard.widgets.html_table import html_table


def help_card(model: ModelScores, case: int) -> None:
    """Draw the model's call, its probabilities, and the slice to look at for each vertebra."""
    scores = model.cases[case]
    called = scores.prob >= model.threshold
    words = "calls a fracture" if called else "calls no fracture"
    st.html(
        f'<div class="lab-verdict{" lab-hot" if called else ""}">'
        f'<span class="lab-eyebrow">The model, {escape(model.title)}</span>'
        f'<span class="lab-call">{words}</span>'
        f'<span class="lab-prob">p = <b>{scores.prob:.2f}</b>, threshold {model.threshold:.2f}'
        "</span></div>"
    )
    rows = [
        ("p", *(f"{p:.2f}" for p in scores.vertebrae)),
        ("slice", *map(str, scores.slices)),
    ]
    slice_note = ("", "p: probability of a fracture; slice: the most suspicious one")
    st.html(html_table([slice_note, *VERTEBRAE], rows))
