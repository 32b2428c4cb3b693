"""Preprocessing: what does a network see of a slice, and how is it changed during training?"""

from __future__ import annotations

from dashboard.preprocessing.steps_view import preprocessing_bench
from dashboard.widgets.frame import page_header
from dashboard.widgets.study_bar import study_bar
from dashboard.widgets.study_picker import open_choice

page_header(
    "Preprocessing",
    "What does a network see of a slice, and how is the slice changed during training?",
)
choice = study_bar(networks=False).choice
study = open_choice(choice)
if choice is not None and study is not None:
    preprocessing_bench(study, choice)
