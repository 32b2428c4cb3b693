"""The data set on show: the one chosen on the Dataset page, else the one in use."""

from __future__ import annotations

from dashboard.session import state
from dashboard.studies.cohort import CurrentDataSet, find_cohort
from dashboard.studies.data_sets import DataSetChoice, data_sets


def current_set() -> DataSetChoice | None:
    """The data set on show; None if none is complete."""
    complete = {choice.key: choice for choice in data_sets() if choice.complete}
    return complete.get(state.chosen_of(state.DATA_SET_KEY, list(complete)) or "")


def current_cohort() -> CurrentDataSet | None:
    """Studies of the data set on show; None if the demo cohort has not been made yet.

    Raises:
        DataRootError: The data root is not in RSNA's layout.
    """
    choice = current_set()
    return find_cohort() if choice is None or choice.in_use else find_cohort(choice.root)
