"""Boxes that a reader drags on a picture of the slice on show."""

from __future__ import annotations

import base64
from functools import partial
from typing import Any, Final

import cv2
import plotly.graph_objects as go
import streamlit as st

from core.constants import DISPLAY_WINDOWS
from core.preprocessing.body import body_box
from core.preprocessing.intensity import window_to_uint8
from core.reader_study.records import MAX_BOXES, MarkedBox
from core.types import HuWindow
from dashboard.session import state
from dashboard.studies.open_study import OpenStudy
from dashboard.widgets.palette import CURRENT
from dashboard.widgets.plot_area import CONFIG, style_chart

_BONE: Final = HuWindow(*DISPLAY_WINDOWS["bone"])
_HEIGHT: Final = 460


def drawn_boxes(slot: str) -> tuple[MarkedBox, ...]:
    """Boxes that the reader has kept for a case."""
    return state.recall(_key(slot), ())


def box_drawing(study: OpenStudy, slot: str, index: int) -> None:
    """Draw the slice on show, on which the reader drags boxes.

    Args:
        study: Study on show.
        slot: Part of the keys that names study and case.
        index: The slice.
    """
    boxes = drawn_boxes(slot)
    with st.expander("Draw a box around the fracture", icon=":material/select:", key="reader_draw"):
        st.caption(f"Slice {index}, as above. Drag a rectangle, then keep it.")
        # Another slice or box is another chart: an old one would hold the old rectangle.
        key = f"reader_chart_{slot}_{index}_{len(boxes)}"
        st.plotly_chart(
            _figure(study, index, boxes), key=key, on_select="rerun", selection_mode="box",
            config=CONFIG, alt=f"Slice {index}, to draw boxes on",
        )  # fmt: skip
        keep, undo = st.columns(2)
        with keep:
            st.button(
                "Keep the box", key=f"{key}_keep", icon=":material/check:", width="stretch",
                disabled=_selected(key) is None or len(boxes) >= MAX_BOXES,
                on_click=partial(_keep, slot, index, key),
            )  # fmt: skip
        with undo:
            st.button(
                "Remove the last box", key=f"{key}_undo", icon=":material/undo:", width="stretch",
                disabled=not boxes, on_click=partial(state.remember, _key(slot), boxes[:-1]),
            )  # fmt: skip


def _figure(study: OpenStudy, index: int, boxes: tuple[MarkedBox, ...]) -> go.Figure:
    volume = study.volume
    rows, columns = volume.hu.shape[1:]
    left, top, right, bottom = body_box(volume)
    pixels = window_to_uint8(volume.hu[index], _BONE)
    _, packed = cv2.imencode(".png", pixels)
    figure = go.Figure(
        # A selection needs a trace with markers.
        go.Scatter(
            x=[(left + right) / 2], y=[(top + bottom) / 2], mode="markers", marker={"opacity": 0},
            hoverinfo="skip",
        )
    )  # fmt: skip
    figure.add_layout_image(
        source="data:image/png;base64," + base64.b64encode(packed.tobytes()).decode(),
        xref="x", yref="y", x=0, y=0, sizex=columns, sizey=rows, sizing="stretch", layer="below",
    )  # fmt: skip
    for box in boxes:
        if box.slice_index == index:
            x0, y0, x1, y1 = box.xyxy
            figure.add_shape(type="rect", x0=x0, y0=y0, x1=x1, y1=y1, line={"color": CURRENT})
    style_chart(figure, _HEIGHT)
    figure.update_layout(dragmode="select", newselection={"line": {"color": CURRENT, "width": 2}})
    figure.update_xaxes(range=[left, right], visible=False, constrain="domain")
    figure.update_yaxes(range=[bottom, top], visible=False, scaleanchor="x", constrain="domain")
    return figure


def _selected(key: str) -> dict[str, Any] | None:
    """The rectangle that was dragged on a chart; None without one."""
    event = state.recall(key) or {}
    found = event.get("selection", {}).get("box", [])
    return found[-1] if found else None


def _keep(slot: str, index: int, key: str) -> None:
    """Keep the dragged rectangle; for a callback."""
    dragged = _selected(key)
    if dragged is None:
        return
    (x0, x1), (y0, y1) = sorted(map(float, dragged["x"])), sorted(map(float, dragged["y"]))
    xyxy = (max(round(x0, 2), 0.0), max(round(y0, 2), 0.0), round(x1, 2), round(y1, 2))
    if xyxy[0] < xyxy[2] and xyxy[1] < xyxy[3]:
        box = MarkedBox(slice_index=index, xyxy=xyxy)
        state.remember(_key(slot), (*drawn_boxes(slot), box))


def _key(slot: str) -> str:
    return f"_reader_boxes_{slot}"
