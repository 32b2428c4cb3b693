"""Chart of the fracture probability on each slice of one vertebra."""

from __future__ import annotations

from typing import Final

import plotly.graph_objects as go

from core.visualization.colors import SUSPICION
from core.visualization.scene import SceneLevel
from dashboard.widgets.palette import CURRENT, with_alpha
from dashboard.widgets.plot_area import style_chart

HEIGHT: Final = 230


def level_profile_figure(level: SceneLevel, threshold: float) -> go.Figure:
    """Draw f_ij over the slices of one vertebra, with the threshold.

    Args:
        level: A visible vertebra.
        threshold: Vertebra threshold.
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
            hovertemplate="slice %{x}<br>f %{y:.3f}<extra></extra>",
        )
    )
    figure.add_hline(y=threshold, line={"color": CURRENT, "dash": "dot", "width": 1.5})
    figure.update_layout(bargap=0.15)
    figure.update_xaxes(title="Slice (0 = head)")
    figure.update_yaxes(title="Fracture probability f", range=[0, 1.02])
    return style_chart(figure, HEIGHT)
