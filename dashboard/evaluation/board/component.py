"""Streamlit component with the threshold sliders of the active model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import streamlit as st

from core.constants import N_VERTEBRAE, VERTEBRAE
from dashboard.evaluation.board.counts import BoardCounts, board_counts, pooled_counts
from dashboard.evaluation.board.routes import COUNTS, ServedCounts, counts_path
from dashboard.evaluation.charts.small_multiples import panel
from dashboard.evaluation.results import ModelAtLevel
from dashboard.evaluation.threshold_counts import WORDS
from dashboard.evaluation.view import Thresholds
from dashboard.widgets.threshold_slider.slider import (
    STEPS,
    are_thresholds,
    moved,
    script,
    slider_style,
)

KEY: Final = "ev_board"
_FRONTEND: Final = Path(__file__).resolve().parent / "frontend"
_SCRIPTS: Final = ("figures.js", "board.js")
"""After the scripts of the sliders, in this order; `board.js` exports what Streamlit calls."""


def threshold_board(
    model: ModelAtLevel, source_id: str, values: Thresholds, *, prevalence: float | None,
    on_release: Callable[[str, Thresholds], None],
) -> None:  # fmt: skip
    """Draw the sliders; while one is dragged, the browser rewrites what has `data-live`.

    Args:
        model: The active model on the studies shown.
        source_id: Its id in the view.
        values: One threshold or seven for C1..C7.
        prevalence: For PPV and NPV; None takes that of the data.
        on_release: Called with the id and the thresholds once the user lets a slider go.
    """
    # Those of all items take a tenth of the time of C1..C7, and most of the page follows them.
    parts = {"all": partial(pooled_counts, model)} if len(values) == 1 else {}
    parts["each"] = partial(board_counts, model, len(values))
    names = [
        COUNTS.register(f"{model.key}|{len(values)}|{part}", ServedCounts(_bytes_of(counts)))
        for part, counts in parts.items()
    ]
    _mount()(
        key=KEY,
        data={
            "urls": [f"{counts_path()}/{name}" for name in names],
            "steps": STEPS,
            "model": model.name,
            "source": source_id,
            "labels": list(VERTEBRAE) if len(values) > 1 else [f"Threshold of {model.name}"],
            "values": list(values),
            "serial": moved(KEY).get("serial", 0),
            "prevalence": prevalence,
            "words": asdict(WORDS[model.question.level]),
            "panels": {vertebra: panel(j) for j, vertebra in enumerate(VERTEBRAE)},
        },
        default={"moved": {}},
        on_moved_change=lambda: _released(on_release),
    )


def _bytes_of(counts: Callable[[], BoardCounts]) -> Callable[[], bytes]:
    return lambda: counts().to_bytes()


def _released(on_release: Callable[[str, Thresholds], None]) -> None:
    """Hand over what the browser reports, if it can be thresholds."""
    report = moved(KEY)
    values: Any = report.get("values")
    if are_thresholds(values) and len(values) in (1, N_VERTEBRAE):
        on_release(str(report.get("source", "")), tuple(map(float, values)))


@st.cache_resource(show_spinner=False)
def _mount() -> Any:  # noqa: ANN401 - Streamlit's mounting command has no public type
    return cast(Any, st.components).v2.component(
        "cspine_threshold_board",
        html='<section class="sliders board" aria-label="Thresholds"></section>',
        css=slider_style(),
        js=script("moved.js", "sliders.js")
        + "".join((_FRONTEND / name).read_text(encoding="utf-8") for name in _SCRIPTS),
    )
