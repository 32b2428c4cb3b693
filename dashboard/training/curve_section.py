"""Measured curves of runs on the page, with the choices of how they are drawn."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.training.epoch_scores import EpochScores, epoch_scores
from core.training.run_curves import Axis, by_level
from core.visualization.colors import VERTEBRA_COLORS
from dashboard.training.curves import Curves, CurveView, curves_figure, level_figure
from dashboard.training.epoch_charts import resource_figure, score_figure
from dashboard.widgets.plot_area import show_chart

_AXES: dict[str, Axis] = {"Step": "step", "Epoch": "epoch", "Time": "hours"}


def show_curves(curves: Curves, key: str) -> None:
    """Draw the measured curves of runs, and how to read them.

    Args:
        curves: At least one measured run.
        key: Key of the chart.
    """
    view = _choose_view(key)
    alt = "Loss, held-out measure, learning rate, throughput and waiting for data"
    show_chart(curves_figure(curves, view), key, alt)
    st.caption(
        "A run is learning if the training loss falls and the held-out measure rises (an AUC of "
        "0.5 is chance, 1 is perfect). If the training loss keeps falling while the held-out loss "
        "(dashed) rises, the network overfits. The ring marks the epoch that the bundle has."
    )
    if len(curves) != 1:
        return
    (lines,) = curves.values()
    table = by_level(lines.validation)
    if not table.empty:
        with st.expander("By vertebra", icon=":material/stacked_line_chart:"):
            show_chart(
                level_figure(table, VERTEBRA_COLORS),
                f"{key}_levels",
                "Held-out measure by vertebra",
            )
    scores = epoch_scores(lines.validation)
    if scores:
        with st.expander("Scores by epoch", icon=":material/bar_chart:"):
            _show_scores(scores, key)
    figure = resource_figure(lines.resources)
    if figure is not None:
        with st.expander("Use of the machine", icon=":material/memory:"):
            show_chart(figure, f"{key}_resources", "Processor, memory and GPU in use over time")
            st.caption(_machine_now(lines.resources))


def _show_scores(scores: list[EpochScores], key: str) -> None:
    """Scores and calls after the epoch that a slider chooses."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        epochs = [one.epoch for one in scores]
        epoch = epochs[-1]
        if len(epochs) > 1:
            epoch = st.select_slider("Epoch", epochs, value=epoch, key=f"{key}_epoch", width=320)
        threshold = st.slider("Threshold", 0.0, 1.0, 0.5, 0.02, key=f"{key}_cut", width=320)
    chosen = next(one for one in scores if one.epoch == epoch)
    show_chart(
        score_figure(chosen, threshold), f"{key}_scores",
        f"Held-out scores of negatives and positives after epoch {epoch}",
    )  # fmt: skip
    calls = chosen.calls_at(threshold)
    st.table(
        pd.DataFrame(
            {
                "called negative": [f"{calls.true_negatives:,}", f"{calls.false_negatives:,}"],
                "called positive": [f"{calls.false_positives:,}", f"{calls.true_positives:,}"],
            },
            index=["negative", "positive"],
        )
    )
    st.caption(
        "Held-out slices, all outputs together; of a localiser, the best score of each slice. The "
        "scores are those of the network, not of patients."
    )


def _machine_now(resources: pd.DataFrame) -> str:
    """The last sample's values that are no shares."""
    last = resources.iloc[-1]
    text = f"{last['disk_free_gib']:,.0f} GiB free on the disk of the run"
    if pd.notna(last.get("gpu_celsius")):
        text += f"; GPU at {last['gpu_celsius']:.0f} °C"
    return f"{text}."


def _choose_view(key: str) -> CurveView:
    with st.container(horizontal=True, vertical_alignment="bottom", key=f"{key}_view"):
        axis = st.segmented_control(
            "Horizontal axis", list(_AXES), default="Step", required=True, key=f"{key}_axis",
            persist_state="session",
        )  # fmt: skip
        smoothing = st.slider(
            "Smoothing", 0.0, 0.95, 0.0, 0.05, key=f"{key}_smoothing", width=240,
            persist_state="session",
            help="Weight of the moving average of training loss, throughput and waiting; the "
            "measured values stay behind it, faint.",
        )  # fmt: skip
        log_loss = st.toggle(
            "Logarithmic loss", key=f"{key}_log", persist_state="session", width="content"
        )
    return CurveView(_AXES[axis], smoothing, log_loss)
