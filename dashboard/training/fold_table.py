"""Table of a run over folds: AUC of each fold, mean and spread, and pooled."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.errors import TrainingError
from core.training.fold_figures import FoldFigure, read_fold_figures
from core.training.run_list import RunSummary
from dashboard.session.wording import number
from dashboard.widgets.frame import panel_title
from dashboard.widgets.notices import show_error

_LEVEL = {
    "presence": "vertebra seen in a slice",
    "slice": "fracture in a slice",
    "vertebra": "fractured vertebra",
    "patient": "fractured patient",
}


def fold_table(run: RunSummary) -> None:
    """Show the AUC of the folds at each level; nothing for a run without pooled figures."""
    try:
        figures = read_fold_figures(run.folder)
    except TrainingError as error:
        show_error(error)
        return
    if not figures:
        return
    panel_title(
        "ROC AUC of held-out patients",
        "every patient is predicted once, by the fold that held it out",
    )
    st.dataframe(fold_rows(figures), hide_index=True)
    st.caption(
        "The pooled figure uses the predictions of all folds; its interval comes from "
        "resampling patients. A spread much wider than the interval means that the folds' "
        "networks differ, not only their patients."
    )


def fold_rows(figures: list[FoldFigure]) -> pd.DataFrame:
    """One row per level, as text."""
    return pd.DataFrame(
        {
            "Level": [_LEVEL[figure.level] for figure in figures],
            "Pooled": [number(figure.pooled) for figure in figures],
            "95 % interval": [_interval(figure) for figure in figures],
            "Mean ± sd over folds": [_spread(figure) for figure in figures],
            "Folds": [" · ".join(number(v) for v in figure.values) for figure in figures],
        }
    )


def _interval(figure: FoldFigure) -> str:
    return "–" if figure.interval is None else "{:.3f} – {:.3f}".format(*figure.interval)


def _spread(figure: FoldFigure) -> str:
    return number(figure.mean) + ("" if figure.sd is None else f" ± {figure.sd:.3f}")
