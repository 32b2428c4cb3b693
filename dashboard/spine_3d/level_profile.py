"""Chart of the slice fracture probability on the slices of one vertebra."""

from __future__ import annotations

from typing import Final

import plotly.graph_objects as go

from core.visualization.colors import SUSPICION
from core.visualization.scene import SceneLevel
from dashboard.widgets.palette import with_alpha
from dashboard.widgets.plot_area import style_chart

HEIGHT: Final = 230


def level_profile_figure(level: SceneLevel) -> go.Figure:
    """Draw p_i, as along the spine on Diagnosis, over the slices of one vertebra.

    Args:
        level: A visible vertebra.
    """
    first, last = level.slices or (0, -1)
    index = list(range(first, last + 1))
    figure = go.Figure(
        go.Bar(
            x=index,
            y=[level.slice_probs[i] for i in index],
            marker={
                "color": [
                    SUSPICION if i == level.peak else with_alpha(SUSPICION, 0.45) for i in index
                ]
            },
            hovertemplate="slice %{x}<br>p %{y:.3f}<extra></extra>",
        )
    )
    figure.update_layout(bargap=0.15)
    figure.update_xaxes(title="Slice (0 = head)")
    figure.update_yaxes(title="Slice fracture probability", range=[0, 1.02])
    return style_chart(figure, HEIGHT)
