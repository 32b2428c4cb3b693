"""Measured curves of runs on the page, with the choices of how they are drawn."""

from __future__ import annotations

import streamlit as st

from core.training.run_curves import Axis, by_level
from core.visualization.colors import VERTEBRA_COLORS
from dashboard.training.curves import Curves, CurveView, curves_figure, level_figure
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
