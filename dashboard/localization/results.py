"""Held-out measures of the boxes: figures, charts and a gallery."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Final, cast

import cv2
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from core.evaluation.detection.files import BoxTables
from core.evaluation.detection.groups import by_group
from core.evaluation.detection.matching import BoxTable
from core.evaluation.detection.report import DetectionReport
from core.evaluation.intervals import Interval
from dashboard.localization.controls import SCORE, BoxChoice
from dashboard.localization.figures import froc_figure, group_figure, iou_histogram
from dashboard.session.urls import page_url
from dashboard.studies.localizer import (
    fused_boxes,
    held_out_overlaps,
    held_out_pictures,
    held_out_report,
)
from dashboard.studies.pictures import draw_boxes
from dashboard.studies.shipped import held_out_boxes
from dashboard.widgets.plot_area import CONFIG
from dashboard.widgets.threshold_slider.live_parts import Tabled, live_parts
from dashboard.widgets.threshold_slider.slider import POSITIONS

_COUNTED: Final = '.st-key-loc_tile_mean_counted_iou [data-testid="stMetricValue"]'
_EACH = 5
_SIDE = 288


def held_out_results(chosen: BoxChoice) -> None:
    """Draw figures, charts and the gallery; all of them follow the sliders.

    The overlap from the minimum score does so while its slider is dragged.
    """
    cohort = held_out_boxes(chosen.bundle)
    if cohort is None:
        st.html(
            '<div class="lab-blank">This bundle ships no held-out boxes; '
            "<code>python -m core demo-localizer --score-only</code> computes them.</div>"
        )
        return
    key = str(chosen.bundle.folder), chosen.bundle.config.weights_sha256
    report = held_out_report(*key, chosen.settings, chosen.threshold)
    st.subheader("How well do the boxes find fractures?")
    st.caption(
        f"On {report.studies} synthetic studies that the localiser was not trained on, with "
        f"{report.true_boxes} true boxes around {report.true_fractures} fractures.",
        help=f"{report.slices:,} slices. Everything below follows the sliders. Synthetic figures "
        "do not transfer to patients.",
    )
    _tiles(report)
    overlaps = held_out_overlaps(*key, chosen.settings, tuple(POSITIONS.tolist()))
    live_parts("loc_tiles", [Tabled(SCORE, _COUNTED, [f"{value:.3f}" for value in overlaps])])
    with st.container(key="loc_late"):
        _follow_up(chosen, cohort, report)


def _follow_up(chosen: BoxChoice, cohort: BoxTables, report: DetectionReport) -> None:
    """Draw what follows the minimum score once its slider is let go."""
    key = str(chosen.bundle.folder), chosen.bundle.config.weights_sha256
    _chart_row(
        (
            "**How much do the boxes overlap?**", iou_histogram(report), "loc_iou_chart",
            "Grey: true boxes that no box on their slice overlaps at this score.",
        ),
        (
            "**How many are found at how many false alarms?** (FROC)", froc_figure(report),
            "loc_froc_chart",
            "Found: the centre of the box is in the true box; dotted: one false mark per study.",
        ),
    )  # fmt: skip
    kinds, vertebrae = by_group(report, cohort.kinds), by_group(report, cohort.vertebrae)
    rows = max(len(kinds), len(vertebrae))
    _chart_row(
        ("**Which kinds of fracture?** The most common first", group_figure(kinds, "kind", rows),
         "loc_kinds", ""),
        ("**Which vertebra?** The most common first", group_figure(vertebrae, "vertebra", rows),
         "loc_vertebrae", ""),
    )  # fmt: skip
    _gallery(chosen, cohort, fused_boxes(*key, chosen.settings), report)


def _chart_row(*charts: tuple[str, go.Figure, str, str]) -> None:
    """Draw charts side by side: title, figure, key and caption of each."""
    for column, (title, figure, key, caption) in zip(
        st.columns(len(charts), gap="medium"), charts, strict=True
    ):
        with column:
            st.markdown(title)
            st.plotly_chart(figure, config=CONFIG, key=key)
            if caption:
                st.caption(caption)


def _tiles(report: DetectionReport) -> None:
    at_one = report.froc_fractures.sensitivity_at(1.0)
    tiles = (
        ("Mean IoU of the best-scored box", report.mean_top_iou, "mean_top_iou",
         "Overlap of the best-scored box on the slice with the true one, whatever its score; 0 "
         "without a box. Overview and the model card give the same figure."),
        ("Centre inside", report.hit_rate, "hit_rate",
         "Share of true boxes that contain the centre of the best-scored box, whatever its score."),
        ("Overlap from the minimum score", report.mean_counted_iou, "mean_counted_iou",
         "Mean IoU if only boxes from the minimum score count: a true box whose best-scored box "
         "has a lower score counts as 0."),
        ("Boxes found at 1 false box per study", report.froc_boxes.sensitivity_at(1.0),
         "froc_boxes", "Independent of the minimum score."),
        ("Fractures found at 1 false track per study", at_one, "froc_fractures",
         "A fracture is found if a track hits it on any slice."),
        ("mAP", report.mean_average_precision, "", "Mean AP at IoU 0.1, 0.3 and 0.5."),
    )  # fmt: skip
    with st.container(key="loc_tiles"):
        columns = st.columns(len(tiles))
    for column, (label, value, name, explanation) in zip(columns, tiles, strict=True):
        with column, st.container(key=f"loc_tile_{name}" if name else None):
            st.metric(label, f"{value:.3f}", help=explanation)
            st.caption(_interval(report.intervals.get(name)))


def _interval(found: Interval | None) -> str:
    return "" if found is None else f"95 %: {found.low:.2f}–{found.high:.2f}"


def _gallery(
    chosen: BoxChoice, cohort: BoxTables, predicted: BoxTable, report: DetectionReport
) -> None:
    """Draw the best and the worst true boxes with the predicted boxes on their slices."""
    pictures = held_out_pictures(chosen.bundle)
    if pictures is None:
        return
    order = np.argsort(report.counted_iou, kind="stable")
    for name, rows in (("Best", order[::-1]), ("Worst", order)):
        st.markdown(f"**{name} boxes, one per study** – dashed green: truth, violet: the localiser")
        _, first = np.unique(cohort.truth.study[rows], return_index=True)
        shown_rows = rows[np.sort(first)[:_EACH]].tolist()
        for column, row in zip(st.columns(_EACH), shown_rows, strict=False):
            study_id = cohort.study_ids[int(cohort.truth.study[row])]
            index = int(cohort.truth.slice_index[row])
            if (study_id, index) not in pictures.index:
                continue
            with column:
                shown = cast("pd.Series", pictures.loc[(study_id, index)]).to_dict()
                st.image(_picture(shown, cohort, predicted, row, chosen), channels="BGR")
                st.caption(
                    f"{cohort.vertebrae[row]} {cohort.kinds[row].replace('_', ' ')} · "
                    f"IoU {report.counted_iou[row]:.2f}"
                )
                st.link_button(
                    f"Slice {index}", page_url("diagnosis", study=study_id, slice=index),
                    help="Opens this slice; the study is generated again from its seed.",
                )  # fmt: skip


def _picture(
    row: Mapping[Hashable, Any],
    cohort: BoxTables,
    predicted: BoxTable,
    number: int,
    chosen: BoxChoice,
) -> NDArray[np.uint8]:
    """The square around a true box with both boxes drawn, uint8 (h, w, 3) BGR."""
    grey = cast(
        "NDArray[np.uint8]",
        cv2.imdecode(np.frombuffer(row["jpeg"], np.uint8), cv2.IMREAD_GRAYSCALE),
    )
    shown = cv2.cvtColor(cv2.resize(grey, (_SIDE, _SIDE)), cv2.COLOR_GRAY2BGR)
    square = np.array([row[name] for name in ("left", "top", "right", "bottom")])
    truth = cohort.truth
    on_slice = (
        (predicted.study == truth.study[number])
        & (predicted.slice_index == truth.slice_index[number])
        & (predicted.scores >= chosen.threshold)
    )
    best = np.flatnonzero(on_slice)[:1]
    return draw_boxes(
        np.asarray(shown, np.uint8), tuple(square.tolist()), truth.xyxy[[number]].tolist(),
        predicted.xyxy[best].tolist(),
    )  # fmt: skip
