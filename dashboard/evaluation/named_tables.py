"""Tables of scores and truth: what a user names is read in a separate, limited process."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import streamlit as st

from core.evaluation.tables.attribute_columns import ColumnTable
from core.evaluation.tables.sandboxed_tables import (
    confined_tables,
    read_columns_confined,
    read_scores_confined,
    read_truth_confined,
)
from core.evaluation.tables.score_files import read_score_table, read_truth_table
from core.evaluation.tables.score_table import ScoreTable
from core.evaluation.tables.truth_table import TruthTable
from core.system.process_limits import Limits
from core.system.sandbox import ConfinedWorkers
from dashboard.session.settings import settings
from dashboard.studies.confined import limits_of

_LANES: Final = 2


def read_scores(path: Path, name: str) -> ScoreTable:
    """Scores of one model, from Parquet, a folder of predictions, or a text table.

    Raises:
        PredictionsError: The table cannot be read, or takes too much memory or time.
    """
    if _is_of_installation(path):
        return read_score_table(path, name)
    return read_scores_confined(path, name, _workers(limits_of(settings())))


def read_truth(path: Path) -> TruthTable:
    """Truth of a cohort.

    Raises:
        DataRootError: The truth cannot be read, or takes too much memory or time.
        DicomSeriesError: A study with a mask cannot be read.
    """
    if _is_of_installation(path):
        return read_truth_table(path)
    return read_truth_confined(path, _workers(limits_of(settings())))


def read_added_columns(path: Path) -> ColumnTable:
    """Columns that a user adds to the studies.

    Raises:
        DataRootError: The table cannot be read, or takes too much memory or time.
    """
    return read_columns_confined(path, _workers(limits_of(settings())))


def _is_of_installation(path: Path) -> bool:
    """Whether this program or its operator put a table there: bundles and training runs."""
    current, found = settings(), path.resolve()
    return any(
        found.is_relative_to(root.resolve()) for root in (current.checkpoints, current.runs_root)
    )


@st.cache_resource(show_spinner=False, on_release=ConfinedWorkers.close, hash_funcs={Limits: repr})
def _workers(limits: Limits) -> ConfinedWorkers:
    return confined_tables(limits, _LANES)
