"""Dataset: what is in the data, what is unusual about it, and how does a study look?"""

from __future__ import annotations

from dashboard.dataset.explorer import dataset_explorer
from dashboard.dataset.phantom_panel import phantom_panel
from dashboard.dataset.source import data_set_picker, index_or_progress
from dashboard.widgets.frame import page_header
from dashboard.widgets.notices import show_left_message

page_header("Dataset", "What is in the data, what is unusual about it, and how does a study look?")
show_left_message()
choice = data_set_picker()
phantom_panel()
data = index_or_progress(choice)
if choice is not None and data is not None:
    dataset_explorer(choice, data)
