"""Training: which model to train, is it learning, and which setting helped?"""

from __future__ import annotations

from dashboard.training.form import section_switch, training_form
from dashboard.training.run_compare import compare_section
from dashboard.training.run_table import runs_section
from dashboard.training.sweep_section import sweeps_section
from dashboard.widgets.frame import page_header
from dashboard.widgets.notices import show_left_message

SECTIONS = {
    "New run": training_form,
    "Sweeps": sweeps_section,
    "Runs": runs_section,
    "Compare": compare_section,
}

page_header("Training", "Which model to train, is it learning, and which setting helped?")
show_left_message()
SECTIONS[section_switch(list(SECTIONS))]()
