"""The data set whose studies the pages show: the one chosen on Dataset, else the one in use."""

from __future__ import annotations

from dashboard.session import state
from dashboard.studies.cohort import CurrentDataSet, find_cohort
from dashboard.studies.data_sets import DataSetChoice, data_sets


def current_set() -> DataSetChoice | None:
    """The chosen data set; None where none is complete."""
    complete = {choice.key: choice for choice in data_sets() if choice.complete}
    return complete.get(state.chosen_data_set(list(complete)) or "")


def current_cohort() -> CurrentDataSet | None:
    """The studies of the chosen data set; None where the embedded one has not been made yet.

    Raises:
        DataRootError: The data root is not in RSNA's layout.
    """
    choice = current_set()
    return find_cohort() if choice is None or choice.in_use else find_cohort(choice.root)


def cohort_title() -> str | None:
    """Name of a chosen data set that is not the one in use; None for that one."""
    choice = current_set()
    return None if choice is None or choice.in_use else choice.title
