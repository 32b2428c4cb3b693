"""Curves show what was measured, no more and no less."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dashboard.training.curves import MAX_POINTS, curves_figure, schedule_figure


def steps(n, **columns):
    return pd.DataFrame({"step": np.arange(1, n + 1), **columns})


def test_the_schedule_keeps_its_ends_and_stays_light():
    rates = np.linspace(0, 1, 100_000)
    (line,) = schedule_figure(rates).data
    assert len(line.x) <= MAX_POINTS
    assert (line.x[0], line.x[-1], line.y[-1]) == (1, 100_000, 1.0)


def test_a_run_has_a_line_in_each_panel_it_has_measures_for():
    curves = {
        "one": {
            "step": steps(3, loss=[1.0, 0.5, 0.4], learning_rate=[1e-3] * 3),
            "validation": pd.DataFrame({"step": [3], "auc": [0.8]}),
        }
    }
    figure = curves_figure(curves)
    assert [trace.yaxis for trace in figure.data] == ["y", "y2", "y3"]
    assert list(figure.data[1].y) == [0.8]
    assert "markers" in figure.data[1].mode
    assert not figure.layout.showlegend


def test_two_runs_share_a_legend_and_keep_their_colours_across_panels():
    curves = {name: {"step": steps(2, loss=[1, 2], learning_rate=[1, 2])} for name in ("a", "b")}
    figure = curves_figure(curves)
    colors = {trace.name: set() for trace in figure.data}
    for trace in figure.data:
        colors[trace.name].add(trace.line.color)
    assert all(len(found) == 1 for found in colors.values())
    assert colors["a"] != colors["b"]
    assert sum(bool(trace.showlegend) for trace in figure.data) == 2


def test_an_unmeasured_auc_draws_nothing():
    curves = {"a": {"step": pd.DataFrame(), "validation": steps(2, auc=[None, None])}}
    assert len(curves_figure(curves).data) == 0


def test_a_run_of_one_step_has_axes_around_its_point():
    one = {"step": steps(1, loss=[0.7], learning_rate=[1e-4], images_per_second=[20.0])}
    one["validation"] = pd.DataFrame({"step": [1], "auc": [0.4]})
    figure = curves_figure({"a": one})
    for axis in figure.select_xaxes():
        assert axis.range[0] == 0
        assert 1 < axis.range[1] < 2
        assert axis.dtick == 1
    low, high = figure.layout.yaxis2.range
    assert low < 0.4
    assert high > 1
    assert all("markers" in trace.mode for trace in figure.data)
    (line,) = schedule_figure(np.array([1e-4])).data
    assert "markers" in line.mode
