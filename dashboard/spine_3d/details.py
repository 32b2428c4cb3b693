"""Below the scene: slices of the chosen vertebra, and the figures of all vertebrae."""

from __future__ import annotations

from html import escape
from typing import Final

import cv2
import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.constants import DISPLAY_WINDOWS, VERTEBRAE
from core.inference.study_scores import StudyScores
from core.inference.verdict import StudyVerdict
from core.models.operating_points import SavedOperatingPoint
from core.preprocessing.intensity import window_to_uint8
from core.types import CTVolume, HuWindow
from core.visualization.colors import UNKNOWN_COLOR
from core.visualization.labels import LabelSource
from core.visualization.scene import SceneInfo, SceneLevel
from core.visualization.scene_surfaces import PackedParts, SceneParts
from core.visualization.surfaces import Surface
from dashboard.session.wording import literal, number
from dashboard.spine_3d.level_profile import level_profile_figure
from dashboard.spine_3d.surfaces import unpacked
from dashboard.studies.open_study import OpenStudy
from dashboard.widgets.frame import blank, panel_title
from dashboard.widgets.html_table import html_table
from dashboard.widgets.plot_area import show_chart
from dashboard.widgets.vertebra_table import MUTED, call_pill, color_chip

_MADE_FROM: Final[dict[LabelSource, str]] = {
    "mask": "The vertebrae come from the study's segmentation mask.",
    "segmenter": "This study has no mask: the segmentation network labelled the vertebrae in "
    "voxels of about 2 mm. Levels and outlines are predicted, and the volumes are approximate.",
    "presence": "This study has no mask: bone was segmented by HU and cut across z where the "
    "vertebra network sees each level, so each part contains the tips of its neighbours' "
    "processes. The volumes are approximate.",
}
_STRIP: Final = 5
_MARGIN_MM: Final = 14.0
_CROP_PX: Final = 300


def scene_details(
    study: OpenStudy,
    packed: PackedParts,
    info: SceneInfo,
    scores: StudyScores | None,
    verdict: StudyVerdict | None,
    chosen: str | None,
    truth: tuple[bool, ...] | None,
    threshold: float,
    point: SavedOperatingPoint | None,
) -> None:
    """Show the chosen vertebra's slices and probabilities, and the figures of all.

    Args:
        study: Study on show.
        packed: Surfaces of the scene.
        info: Probabilities of the scene.
        scores: Scores of the networks; None before they have run.
        verdict: The verdict on these scores.
        chosen: Name of the selected or most suspicious vertebra; None without one.
        truth: y_j for C1..C7; None if unlabelled or hidden.
        threshold: Vertebra threshold.
        point: Vertebra threshold that the networks come with; None without networks.
    """
    parts = unpacked(packed, study.owner)
    left, right = st.columns([5, 6], gap="medium")
    with left, st.container(key="scene_chosen"):
        _chosen_panel(study.volume, parts, info, chosen)
    with right, st.container(key="scene_figures"):
        panel_title(
            "Vertebrae in figures",
            "volume and area of the surfaces, and volume of the voxels they were made from",
        )
        st.html(figures_table(parts, info, scores, verdict, truth))
        st.caption(literal(_provenance(packed, scores) + _calls(threshold, point)))


def figures_table(
    parts: SceneParts,
    info: SceneInfo,
    scores: StudyScores | None,
    verdict: StudyVerdict | None,
    truth: tuple[bool, ...] | None,
) -> str:
    """The table of vertebrae as HTML.

    Args:
        parts: Surfaces of the scene.
        info: Colours of the scene.
        scores: Scores of the networks; None before they have run.
        verdict: The verdict on these scores.
        truth: y_j for C1..C7; None if unlabelled.
    """
    levels = {level.name: level for level in info.levels}
    rows: list[list[str]] = []
    for name in dict.fromkeys((*VERTEBRAE, *parts.vertebrae)):
        level = levels.get(name, SceneLevel(name, UNKNOWN_COLOR))
        j = VERTEBRAE.index(name) if name in VERTEBRAE else None
        prob, call = _prob_and_call(scores, verdict, j)
        row = [
            color_chip(level.color) + escape(name),
            *_figures(parts.vertebrae.get(name)),
            prob,
            call,
        ]
        if truth is not None:
            row.append("" if j is None else "fracture" if truth[j] else "none")
        rows.append(row)
    head = ("Level", "Volume (cm³)", "Voxels (cm³)", "Area (cm²)", "p", "Call", "Truth")
    columns = head if truth is not None else head[:-1]
    return html_table(columns, rows, looks="lab-vertebrae lab-number")


def _prob_and_call(
    scores: StudyScores | None, verdict: StudyVerdict | None, j: int | None
) -> tuple[str, str]:
    """HTML of p_j and the call of a vertebra; the former is muted where no call is made."""
    if scores is None or verdict is None:
        return "–", "–"
    if j is None or scores.ranges[j] is None:
        return "–", call_pill(None, seen=False)
    prob = number(float(scores.patient.vertebra_probs[j]))
    if verdict.calls.patient is None:
        prob = f"<span{MUTED}>{prob}</span>"
    return prob, call_pill(verdict.calls.vertebrae[j], seen=True)


def vertebra_strip(
    volume: CTVolume, surface: Surface, level: SceneLevel
) -> list[tuple[int, NDArray[np.uint8]]]:
    """Cropped slices through a vertebra: its most suspicious one and some of its others around it.

    Args:
        volume: Volume of the study.
        surface: Surface of the vertebra, LPS mm.
        level: Probabilities of the vertebra.

    Returns:
        (slice index, uint8 square picture in the bone window), from the head down.
    """
    inverse = np.linalg.inv(volume.affine)
    index = surface.points @ inverse[:3, :3].T + inverse[:3, 3]
    low, high = index.min(axis=0), index.max(axis=0)
    first, last = max(int(np.ceil(low[0])), 0), min(int(high[0]), volume.n_slices - 1)
    middle = level.peak if level.peak is not None else (first + last) // 2
    middle = min(max(middle, first), last)
    step = max((last - first) // (_STRIP + 1), 1)
    # From the middle to both sides, and on to the other side where the vertebra ends.
    inside = range(first + (middle - first) % step, last + 1, step)
    place = min(max((middle - inside.start) // step - _STRIP // 2, 0), max(len(inside) - _STRIP, 0))
    wanted = inside[place : place + _STRIP]
    _, row_mm, column_mm = volume.spacing_mm
    half = max((high[1] - low[1]) * row_mm, (high[2] - low[2]) * column_mm) / 2 + _MARGIN_MM
    center = (low + high) / 2
    return [(i, _cropped(volume, i, center, half)) for i in wanted]


def _cropped(
    volume: CTVolume, i: int, center: NDArray[np.float64], half_mm: float
) -> NDArray[np.uint8]:
    _, row_mm, column_mm = volume.spacing_mm
    y0, x0 = center[1] - half_mm / row_mm, center[2] - half_mm / column_mm
    scale = 2 * half_mm / _CROP_PX
    move = np.array([[scale / column_mm, 0, x0], [0, scale / row_mm, y0]])
    grey = window_to_uint8(volume.hu[i], HuWindow(*DISPLAY_WINDOWS["bone"]))
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(grey, move, (_CROP_PX, _CROP_PX), flags=how), np.uint8)


def _chosen_panel(volume: CTVolume, parts: SceneParts, info: SceneInfo, chosen: str | None) -> None:
    surface = parts.vertebrae.get(chosen or "")
    level = next((level for level in info.levels if level.name == chosen), None)
    if surface is None:
        blank("Click a vertebra to see its slices here.")
        return
    if level is None:
        level = SceneLevel(surface.name, UNKNOWN_COLOR)
    prob = "no score" if level.prob is None else f"p = {level.prob:.3f}"
    panel_title(
        f"{escape(surface.name)} · {prob}",
        "click another vertebra in the scene to change it; axial slices, ★ the most suspicious, "
        "the patient's right on the left",
    )
    strip = vertebra_strip(volume, surface, level)
    for column, (i, picture) in zip(st.columns(len(strip), gap="small"), strip, strict=True):
        column.image(
            picture,
            caption=f"slice {i}" + (" ★" if i == level.peak else ""),
            width="stretch",
        )
    if level.slices is not None:
        show_chart(
            level_profile_figure(level),
            "level_profile",
            f"Slice fracture probability on the slices of {surface.name}",
        )


def _figures(surface: Surface | None) -> tuple[str, str, str]:
    """Volume, volume of the voxels and area of a vertebra."""
    if surface is None:
        return '<span class="lab-muted">no voxel</span>', "–", "–"
    return (
        f"{surface.volume_mm3 / 1000:.2f}",
        f"{surface.voxel_mm3 / 1000:.2f}",
        f"{surface.area_mm2 / 100:.1f}",
    )


def _calls(threshold: float, point: SavedOperatingPoint | None) -> str:
    if point is None:
        return ""
    origin = point.described
    if threshold != point.threshold:
        origin = f"moved by hand; {origin}"
    return f" Calls: p ≥ {threshold:.3f} ({origin})."


def _provenance(packed: PackedParts, scores: StudyScores | None) -> str:
    made = _MADE_FROM[packed.source]
    models = "" if scores is None else f" Probabilities: {', '.join(scores.predictions.models)}."
    return made + models
