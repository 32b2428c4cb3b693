"""Charts of a data set as bars and markers that can be clicked.

Every bar has its number as `customdata`; pale bars behind show the whole data set while a filter
is active.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.constants import N_VERTEBRAE, VERTEBRAE
from core.dataset.quality import FLAGS
from core.dataset.statistics import DataSetStatistics, Distribution
from core.visualization.colors import VERTEBRA_COLORS
from dashboard.widgets.palette import CURRENT, NEUTRAL, with_alpha
from dashboard.widgets.plot_area import style_chart

HEIGHT: Final = 230
_ALL: Final = with_alpha(NEUTRAL, 0.28)
_LEFT_OUT: Final = 0.45
"""Opacity of the bars that a chart's own filter leaves out."""


def prevalence_figure(
    shown: DataSetStatistics, everything: DataSetStatistics, chosen: Sequence[str]
) -> go.Figure:
    """Draw how many labelled studies have each vertebra fractured; `customdata` is 0 for C1."""
    colors = [VERTEBRA_COLORS[name] for name in VERTEBRAE]
    picked = [name in chosen for name in VERTEBRAE]
    figure = _bars(list(VERTEBRAE), shown.vertebrae, everything.vertebrae, colors, picked,
                   hover="%{x} fractured: %{y} studies", all_of_them=True)  # fmt: skip
    return _laid_out(figure, "vertebra", "studies with it fractured")


def fractures_figure(
    shown: DataSetStatistics, everything: DataSetStatistics, chosen: int | None
) -> go.Figure:
    """Draw how many vertebrae are fractured in one patient; `customdata` is that number."""
    last = int(np.flatnonzero(everything.fractures_per_patient).max(initial=1)) + 1
    picked = [k == chosen for k in range(last)]
    figure = _bars([str(k) for k in range(last)], shown.fractures_per_patient[:last],
                   everything.fractures_per_patient[:last], [CURRENT] * last, picked,
                   hover="%{x} fractured vertebrae: %{y} studies")  # fmt: skip
    figure.update_xaxes(type="category")
    return _laid_out(figure, "fractured vertebrae in one patient", "studies")


def together_figure(shown: DataSetStatistics, chosen: Sequence[str]) -> go.Figure:
    """Draw which vertebrae are fractured together; `customdata` is (row, column), 0 for C1.

    Squares, because a heat map does not report clicks.
    """
    row, column = (axis.ravel() for axis in np.indices((N_VERTEBRAE, N_VERTEBRAE)))
    below = row >= column
    row, column = row[below], column[below]
    counts = shown.together[row, column]
    names = np.array(VERTEBRAE)
    chosen_pair = {names.tolist().index(name) for name in chosen}
    picked = [len(chosen) > 0 and {i, j} == chosen_pair for i, j in zip(row, column, strict=True)]
    top = max(int(counts.max(initial=0)), 1)
    figure = go.Figure(
        go.Scatter(
            x=names[column],
            y=names[row],
            mode="markers+text",
            text=[f"{n}" if n else "" for n in counts],
            textfont={"size": 11, "color": "#FFFFFF"},
            marker={
                "symbol": "square",
                "size": 21,
                "color": [_shade(n / top) for n in counts],
                "line": {"width": [3 if p else 0 for p in picked], "color": CURRENT},
            },
            customdata=np.stack([row, column], axis=1),
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 1}},
            hovertemplate="%{y} and %{x} both fractured: %{text} studies<extra></extra>",
        )
    )
    _laid_out(figure, "", "")
    figure.update_layout(height=HEIGHT + 10)
    figure.update_xaxes(categoryorder="array", categoryarray=list(VERTEBRAE), showgrid=False)
    figure.update_yaxes(
        categoryorder="array", categoryarray=list(VERTEBRAE), autorange="reversed", showgrid=False
    )
    return figure


def distribution_figure(
    shown: Distribution,
    everything: Distribution,
    chosen: tuple[float, float] | None,
    *,
    axis: str,
    counted: str = "studies",
) -> go.Figure:
    """Draw values counted in intervals; `customdata` is the interval's number.

    Args:
        shown: Shown of the studies that pass.
        everything: Everything of the whole data set; same intervals.
        chosen: Interval of the filter.
        axis: Title of the axis, with the unit.
        counted: Name of what is counted.
    """
    edges = shown.edges
    middles, widths = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    picked = [chosen == shown.span(k) for k in range(len(middles))]
    texts = [f"{low:g} to below {high:g}" for low, high in pairwise(edges)]
    figure = _bars(middles, shown.counts, everything.counts, [CURRENT] * len(middles), picked,
                   hover="%{text}: %{y} " + counted, widths=widths * 0.92, texts=texts)  # fmt: skip
    if np.isfinite(shown.median):
        figure.add_vline(
            x=shown.median, line={"color": NEUTRAL, "width": 1.5, "dash": "dot"},
            annotation={"text": f"median {shown.median:.3g}", "font": {"size": 11}},
            annotation_position="top",
        )  # fmt: skip
    return _laid_out(figure, axis, counted)


def _shade(share: float) -> str:
    """Opaque from grey to teal, so that white numbers are legible on both backgrounds."""
    if share <= 0:
        return with_alpha(CURRENT, 0.06)
    few, many = (107, 135, 148), (10, 102, 118)
    mixed = (round(a + (b - a) * share) for a, b in zip(few, many, strict=True))
    return "rgb({},{},{})".format(*mixed)


def flags_figure(
    shown: DataSetStatistics, everything: DataSetStatistics, chosen: Sequence[str]
) -> go.Figure:
    """Draw how many studies have each flag; `customdata` is its number in `FLAGS`."""
    counts = np.array([n for _, n in shown.flags])
    overall = np.array([n for _, n in everything.flags])
    picked = [flag.column in chosen for flag in FLAGS]
    figure = _bars([flag.title for flag in FLAGS], counts, overall, [CURRENT] * len(FLAGS), picked,
                   hover="%{y}: %{x} studies", sideways=True, all_of_them=True)  # fmt: skip
    _laid_out(figure, "studies with this flag", "", counts_along="x")
    figure.update_layout(height=HEIGHT + 10)
    figure.update_yaxes(autorange="reversed", ticks="")
    return figure


def _bars(
    places: Sequence[str] | NDArray[np.float64],
    counts: NDArray[np.int64],
    overall: NDArray[np.int64],
    colors: Sequence[str],
    picked: Sequence[bool],
    *,
    hover: str,
    sideways: bool = False,
    widths: NDArray[np.float64] | None = None,
    texts: Sequence[str] | None = None,
    all_of_them: bool = False,
) -> go.Figure:
    """Bars over the pale bars of the whole data set.

    Args:
        places: Positions of the bars.
        counts: Heights of the bars.
        overall: Heights in the whole data set.
        colors: Color of each bar.
        picked: Which bars the filter selects.
        hover: Hover text.
        sideways: Whether bars are horizontal.
        widths: Widths of the bars, in units of the axis.
        texts: Texts for `hover`.
        all_of_them: Whether bars that are not picked keep their full color.
    """
    one_is_picked = any(picked) and not all_of_them
    shades = [
        with_alpha(color, _LEFT_OUT) if one_is_picked and not here else color
        for color, here in zip(colors, picked, strict=True)
    ]
    outline = {"width": [2.5 if here else 0 for here in picked], "color": NEUTRAL}
    figure = go.Figure()
    for heights, color, line, front in (
        (overall, _ALL, {"width": 0}, False),
        (counts, shades, outline, True),
    ):
        along = {"x": heights, "y": places} if sideways else {"x": places, "y": heights}
        figure.add_bar(
            **along,
            orientation="h" if sideways else "v",
            width=widths,
            text=list(texts) if texts is not None else None,
            textposition="none",
            marker={"color": color, "line": line},
            customdata=np.arange(len(counts)),
            hovertemplate=(hover if front else hover + " in the whole set") + "<extra></extra>",
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 1}},
        )
    figure.update_layout(barmode="overlay")
    return figure


def _laid_out(
    figure: go.Figure, x_title: str, y_title: str, *, counts_along: str = "y"
) -> go.Figure:
    """Set the layout of all charts; counts start at 0 and have whole ticks."""
    style_chart(figure, HEIGHT, top=22)
    figure.update_layout(clickmode="event+select", bargap=0.18)
    figure.update_xaxes(title=x_title or None)
    figure.update_yaxes(title=y_title or None)
    bars: list[Any] = list(figure.select_traces({"type": "bar"}))
    if bars:
        top = max(int(np.max(trace[counts_along], initial=0)) for trace in bars)
        axes = figure.update_xaxes if counts_along == "x" else figure.update_yaxes
        axes(range=[0, max(1.0, 1.06 * top)], dtick=1 if top <= 5 else None, tickformat=",d")
    return figure
