from __future__ import annotations

import numpy as np
import pytest

from core.evaluation.bands import CurveBand
from core.evaluation.curves import curve_points, threshold_counts
from core.evaluation.histogram import score_histogram
from dashboard.evaluation.charts.roc_pr import DrawnCurve, pr_figure, roc_figure
from dashboard.evaluation.charts.score_distribution import distribution_figure
from dashboard.evaluation.charts.small_multiples import (
    COLUMNS,
    panel,
    panel_mark,
    small_multiples_figure,
)
from dashboard.widgets.overlay import Line, Mark, overlay
from dashboard.widgets.palette import model_styles
from dashboard.widgets.plot_area import WIDE

SCORES, TRUTH = [0.9, 0.8, 0.8, 0.4, 0.2], [1, 1, 0, 0, 1]


@pytest.fixture
def drawn():
    roc, precision = [[0.0, 0.9], [0.5, 1.0]], [[0.2, np.nan], [1.0, np.nan]]
    band = CurveBand(np.array([0.0, 1.0]), np.array(roc), np.array(precision))
    points = curve_points(threshold_counts(SCORES, TRUTH))
    return DrawnCurve("a", model_styles(["a"])["a"], points, band)


def test_the_curves_are_drawn_where_the_counts_say(drawn):
    (roc,) = [t for t in roc_figure([drawn]).data if t.name == "a"]
    assert list(zip(roc.x, roc.y, strict=True)) == [
        (0, 0), (0, 0.33333), (0.5, 0.66667), (1, 0.66667), (1, 1),
    ]  # fmt: skip
    (pr,) = [t for t in pr_figure([drawn]).data if t.name == "a"]
    assert pr.y[0] == 1
    assert pr.customdata[2].tolist() == ["0.800", 2, 1, 1]


def test_a_band_stops_where_no_replicate_reached(drawn):
    bands = [t for t in pr_figure([drawn]).data if t.fill == "toself"]
    assert list(bands[0].x) == [0, 0]


def test_the_layer_lies_exactly_over_the_plot_area(drawn):
    figure = roc_figure([drawn])
    margin = figure.layout.margin
    assert WIDE.inset == f"{margin.t}px {margin.r}px {margin.b}px {margin.l}px"
    assert margin.autoexpand is False
    assert figure.layout.xaxis.automargin is False
    assert figure.layout.xaxis.fixedrange
    assert tuple(figure.layout.xaxis.range) == tuple(figure.layout.yaxis.range) == (0, 1)


def test_marks_stay_inside_and_labels_cannot_inject():
    html = overlay(WIDE, [Mark(1.5, 0.25, "#000000", label='<b onclick="x">')], [Line(0.5, "#111")])
    assert "left:100.000%;bottom:25.000%" in html
    assert "<b onclick" not in html
    assert "left:50.000%" in html


def test_a_panel_is_where_plotly_puts_it(drawn):
    figure = small_multiples_figure({"C1": [drawn], "C6": [drawn]})
    for vertebra in range(7):
        number = "" if vertebra == 0 else str(vertebra + 1)
        x, y = figure.layout[f"xaxis{number}"].domain, figure.layout[f"yaxis{number}"].domain
        left, bottom, width, height = panel(vertebra)
        assert (left, left + width, bottom, bottom + height) == pytest.approx((*x, *y))
        mark = panel_mark(vertebra, Mark(1, 0, "#000"))
        assert (mark.x, mark.y) == pytest.approx((x[1], y[0]))
    assert COLUMNS == 4
    assert any("one class only" in a.text for a in figure.layout.annotations)
    # Without an anchor Plotly would hang the note over the panel to its left.
    left, _, width, _ = panel(7)
    note = figure.layout.annotations[-1]
    assert (note.x, note.xanchor) == (pytest.approx(left + width / 2), "center")


def test_positives_stand_up_and_negatives_hang_down():
    figure = distribution_figure(score_histogram(SCORES, TRUTH, bins=10), "fractured", "intact")
    up, down = figure.data
    assert min(up.y) >= 0 >= max(down.y)
    assert sum(up.y) == pytest.approx(1)
    assert list(up.customdata) == [0, 0, 1, 0, 0, 0, 0, 0, 1, 1]
