"""Charts of a data set; a click on a bar or square filters the studies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import plotly.graph_objects as go
import streamlit as st

from core.constants import VERTEBRAE
from core.dataset.quality import FLAGS
from core.dataset.statistics import DataSetStatistics, summarise_studies
from core.dataset.study_table import StudyFilter, select
from dashboard.dataset.figures import (
    distribution_figure,
    flags_figure,
    fractures_figure,
    prevalence_figure,
    together_figure,
)
from dashboard.dataset.indexed_set import IndexedSet
from dashboard.session import state
from dashboard.widgets.frame import panel_title
from dashboard.widgets.plot_area import show_chart

Mark = tuple[int, ...]
Click = Callable[[StudyFilter, Mark], StudyFilter]

CLICKED_AT: Final = "_clicked_at"
"""Under it, the serial number of the filter that the last click on a chart set."""
_ROWS: Final = (
    (("vertebrae", "n_fractured", "together"), (1, 1, 1)),
    (("n_slices", "spacing_mm", "n_boxes"), (1, 1, 1)),
    (("box_mm", "flags"), (1, 2)),
)
"""Rows of charts and their widths."""

_DISTRIBUTIONS: Final = {
    "n_slices": ("How long are the series?", "slices in a study", "studies",
                 "More slices mean a longer or finer scan."),
    "spacing_mm": ("How large is the slice distance?", "slice distance (mm)", "studies",
                   "A hairline fracture can fall between widely spaced slices."),
    "n_boxes": ("How many boxes does a study have?", "boxes in a study with boxes", "studies",
                "A box marks a fracture on one slice, so tall fractures have several."),
    "box_mm": ("How large are the boxes?", "side of a square of the same area (mm)", "boxes",
               "A click keeps studies with at least one box of that size."),
}  # fmt: skip


def dataset_charts(
    data: IndexedSet, data_set: str, wanted: StudyFilter, serial: int, everything: DataSetStatistics
) -> None:
    """Draw the charts of the studies that pass a filter.

    Args:
        data: The data set.
        data_set: Key of the data set.
        wanted: Current filter.
        serial: Number that rises with each change of the filter; a new chart has no selection, so
            that the same bar can be clicked again.
        everything: Statistics of all studies.
    """

    def without(part: str) -> DataSetStatistics:
        # A chart ignores its own filter, to show the other choices.
        return summarise_studies(data.table, select(data.table, wanted.without(part)), data.edges)

    shown = summarise_studies(data.table, select(data.table, wanted), data.edges)

    def chart(name: str, title: str, aid: str, figure: go.Figure, click: Click) -> None:
        key = f"chart_{name}_{serial}"
        panel_title(title, aid)
        show_chart(
            figure, key, title, selection_mode="points",
            on_select=lambda: _clicked(key, data_set, wanted, click),
        )  # fmt: skip

    with st.container(key="dataset_charts"):
        for names, widths in _ROWS:
            for column, name in zip(st.columns(widths, gap="medium"), names, strict=True):
                with column:
                    _draw(name, chart, shown, without, everything, wanted)


def _draw(
    name: str,
    chart: Callable[[str, str, str, go.Figure, Click], None],
    shown: DataSetStatistics,
    without: Callable[[str], DataSetStatistics],
    everything: DataSetStatistics,
    wanted: StudyFilter,
) -> None:
    if name == "vertebrae":
        chart(name, "Which vertebrae are fractured?", _of(shown),
              prevalence_figure(shown, everything, wanted.vertebrae), _toggle_vertebra)  # fmt: skip
    elif name == "n_fractured":
        others = without(name)
        chart(name, "How many vertebrae are fractured in one patient?",
              "A second fracture is easily overlooked once the first is found.",
              fractures_figure(others, everything, wanted.n_fractured),
              _choose_count)  # fmt: skip
    elif name == "together":
        chart(name, "Which are fractured together?",
              "A square counts the studies with both fractured; the diagonal counts each.",
              together_figure(shown, wanted.vertebrae), _choose_pair)  # fmt: skip
    elif name == "flags":
        none = not any(count for _, count in shown.flags)
        chart(name, "What is unusual about the files?",
              "Nothing: no study shown has a quality flag." if none else
              "Flags are explained with each study below; flagged studies can still be read.",
              flags_figure(shown, everything, wanted.flags), _toggle_flag)  # fmt: skip
    else:
        title, axis, counted, aid = _DISTRIBUTIONS[name]
        others = getattr(without(name), name)
        figure = distribution_figure(
            others, getattr(everything, name), getattr(wanted, name), axis=axis, counted=counted
        )
        chart(name, title, aid, figure, _choose_span(name, others.span))


def _of(shown: DataSetStatistics) -> str:
    return f"Of {shown.labelled:,} labelled studies, {shown.fractured:,} have a fracture."


def _clicked(key: str, data_set: str, wanted: StudyFilter, click: Click) -> None:
    mark = state.clicked_mark(key)
    if mark is not None:
        state.filter_studies(data_set, click(wanted, mark))
        state.remember(CLICKED_AT, state.filter_changes())


def _toggle_vertebra(wanted: StudyFilter, mark: Mark) -> StudyFilter:
    return replace(wanted, vertebrae=_toggled(wanted.vertebrae, VERTEBRAE[mark[0]], VERTEBRAE))


def _toggle_flag(wanted: StudyFilter, mark: Mark) -> StudyFilter:
    columns = tuple(flag.column for flag in FLAGS)
    return replace(wanted, flags=_toggled(wanted.flags, columns[mark[0]], columns))


def _choose_count(wanted: StudyFilter, mark: Mark) -> StudyFilter:
    return replace(wanted, n_fractured=None if wanted.n_fractured == mark[0] else mark[0])


def _choose_pair(wanted: StudyFilter, mark: Mark) -> StudyFilter:
    pair = tuple(name for j, name in enumerate(VERTEBRAE) if j in mark)
    return replace(wanted, vertebrae=() if wanted.vertebrae == pair else pair)


def _choose_span(name: str, span: Callable[[int], tuple[float, float]]) -> Click:
    def choose(wanted: StudyFilter, mark: Mark) -> StudyFilter:
        asked = span(mark[0])
        value: Any = None if getattr(wanted, name) == asked else asked
        return replace(wanted, **{name: value})

    return choose


def _toggled(chosen: tuple[str, ...], name: str, order: tuple[str, ...]) -> tuple[str, ...]:
    now = set(chosen) ^ {name}
    return tuple(other for other in order if other in now)
