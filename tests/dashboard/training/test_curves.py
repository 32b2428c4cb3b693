"""Curves show what was measured, no more and no less."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dashboard.training.curves import (
    MAX_POINTS,
    CurveView,
    RunLines,
    curves_figure,
    level_figure,
    schedule_figure,
)


def steps(n, **columns):
    return pd.DataFrame({"step": np.arange(1, n + 1), **columns})


def test_the_schedule_keeps_its_ends_and_stays_light():
    rates = np.linspace(0, 1, 100_000)
    (line,) = schedule_figure(rates).data
    assert len(line.x) <= MAX_POINTS
    assert (line.x[0], line.x[-1], line.y[-1]) == (1, 100_000, 1.0)


def lines(step=None, validation=None, keep="best"):
    empty = pd.DataFrame()
    return RunLines(
        empty if step is None else step, empty if validation is None else validation, keep
    )


def drawn(figure, panel):
    """Lines of a panel, counted from 0."""
    axis = "y" if panel == 0 else f"y{panel + 1}"
    return [trace for trace in figure.data if trace.yaxis == axis]


def test_a_run_has_a_line_in_each_panel_it_has_measures_for():
    step = steps(3, loss=[1.0, 0.5, 0.4], learning_rate=[1e-3] * 3, loader_wait_share=[0.1] * 3)
    validation = pd.DataFrame({"step": [3], "epoch": [1], "auc": [0.8], "loss": [0.6]})
    figure = curves_figure({"one": lines(step, validation)})
    training, held_out = drawn(figure, 0)
    assert list(training.y) == [1.0, 0.5, 0.4]
    assert (list(held_out.y), held_out.line.dash) == ([0.6], "dash")
    measure, ring = drawn(figure, 1)
    assert list(measure.y) == [0.8]
    assert "markers" in measure.mode
    assert (list(ring.x), list(ring.y)) == ([3], [0.8])
    assert [len(drawn(figure, panel)) for panel in (2, 3, 4)] == [1, 0, 1]
    assert not figure.layout.showlegend


def test_the_ring_is_at_the_epoch_of_the_bundle():
    validation = steps(3, epoch=[1, 2, 3], auc=[0.7, 0.9, 0.8], loss=[0.5, 0.4, 0.3])
    for keep, deficit, expected in (("best", [0.1, 0.3, 0.2], 1), ("last", [0.1, 0.3, 0.2], 3)):
        made = lines(validation=validation.assign(deficit=deficit), keep=keep)
        ring = drawn(curves_figure({"a": made}), 1)[-1]
        assert list(ring.x) == [expected]
        assert f"epoch {expected}" in ring.hovertemplate


def test_two_runs_share_a_legend_and_keep_their_colours_across_panels():
    curves = {name: lines(steps(2, loss=[1, 2], learning_rate=[1, 2])) for name in ("a", "b")}
    figure = curves_figure(curves)
    colors = {trace.name: set() for trace in figure.data}
    for trace in figure.data:
        colors[trace.name].add(trace.line.color)
    assert all(len(found) == 1 for found in colors.values())
    assert colors["a"] != colors["b"]
    assert sum(bool(trace.showlegend) for trace in figure.data) == 2


def test_an_unmeasured_auc_draws_nothing():
    curves = {"a": lines(validation=steps(2, auc=[None, None]))}
    assert len(curves_figure(curves).data) == 0


def test_smoothing_keeps_the_measured_values_behind_and_leaves_the_held_out_ones():
    validation = pd.DataFrame({"step": [3], "epoch": [1], "auc": [0.8], "loss": [0.6]})
    made = {"a": lines(steps(3, loss=[1.0, 0.0, 1.0]), validation)}
    measured, smooth, held_out = drawn(curves_figure(made, CurveView(smoothing=0.5)), 0)
    assert list(measured.y) == [1.0, 0.0, 1.0]
    assert measured.hoverinfo == "skip"
    np.testing.assert_allclose(smooth.y, [1.0, 1 / 3, 5 / 7])
    assert list(held_out.y) == [0.6]


def test_axes_are_steps_epochs_or_hours_and_the_loss_may_be_logarithmic():
    step = steps(4, loss=[4.0, 3.0, 2.0, 1.0], time=[f"2026-01-01T0{h}:00:00Z" for h in range(4)])
    validation = pd.DataFrame({"step": [2, 4], "epoch": [1, 2], "auc": [0.6, 0.7]})
    made = {"a": lines(step, validation)}
    epochs = curves_figure(made, CurveView(axis="epoch", log_loss=True))
    assert list(drawn(epochs, 0)[0].x) == [0.5, 1.0, 1.5, 2.0]
    assert epochs.layout.yaxis.type == "log"
    hours = curves_figure(made, CurveView(axis="hours"))
    assert list(drawn(hours, 0)[0].x) == [0, 1, 2, 3]
    assert hours.layout.xaxis.title.text == "hours since the start"


def test_segmenters_are_judged_by_the_dice_coefficient():
    figure = curves_figure({"a": lines(validation=steps(2, epoch=[1, 2], dice=[0.5, 0.7]))})
    assert list(drawn(figure, 1)[0].y) == [0.5, 0.7]
    assert figure.layout.annotations[1].text == "Held-out Dice coefficient"


def test_levels_have_their_colours_and_presence_is_dotted():
    table = pd.DataFrame({"f_C1": [0.5, 0.6], "v_C1": [0.9, 0.9]}, index=[1, 2])
    fracture, presence = level_figure(table, {"C1": "#123456"}).data
    assert {fracture.line.color, presence.line.color} == {"#123456"}
    assert (fracture.line.dash, presence.line.dash) == ("solid", "dot")


def test_a_run_of_one_step_has_axes_around_its_point():
    step = steps(1, loss=[0.7], learning_rate=[1e-4], images_per_second=[20.0])
    one = lines(step, pd.DataFrame({"step": [1], "auc": [0.4]}))
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
