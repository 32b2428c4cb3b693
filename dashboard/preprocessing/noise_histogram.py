"""Histogram of the grey levels of a slice, with the borders of noise reduction."""

from __future__ import annotations

from typing import Final

import numpy as np
import plotly.graph_objects as go

from core.preprocessing.noise_reduction import NoiseResult
from core.visualization.colors import MEASURE_COLOR
from dashboard.widgets.palette import CURRENT, NEUTRAL
from dashboard.widgets.plot_area import style_chart

HEIGHT: Final = 260


def noise_histogram(result: NoiseResult) -> go.Figure:
    """Draw the histogram with the borders and means of the clusters.

    The axis of pixels is logarithmic, since air has about a hundred times the pixels of bone.
    """
    counts = result.counts.astype(np.float64)
    figure = go.Figure(
        go.Bar(
            x=np.arange(len(counts)),
            y=np.where(counts > 0, counts, np.nan),
            marker={"color": NEUTRAL, "line": {"width": 0}},
            hovertemplate="grey level %{x}: %{y:,} pixels<extra></extra>",
        )
    )
    for start in result.starts:
        figure.add_vline(
            x=start - 0.5, line={"color": MEASURE_COLOR, "width": 2},
            annotation={"text": f"{start}", "font": {"size": 11, "color": MEASURE_COLOR}},
            annotation_position="top right",
        )  # fmt: skip
    if len(result.means) > 2:
        for mean in result.means:
            figure.add_vline(x=mean, line={"color": CURRENT, "width": 1.5, "dash": "dot"})
    figure.update_layout(bargap=0)
    figure.update_xaxes(title="grey level (0–255)", range=[-1, 256])
    figure.update_yaxes(title="pixels (logarithmic)", type="log")
    return style_chart(figure, HEIGHT, top=24)
