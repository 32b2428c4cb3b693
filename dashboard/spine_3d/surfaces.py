"""Surfaces of an open study: stored by content, built in the background."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.constants import VERTEBRAE
from core.dataset.rsna import lines_file
from core.errors import SceneError
from core.inference.boxes.tracks import boxes_3d
from core.inference.study_scores import StudyScores
from core.types import CTVolume, StudyRecord
from core.visualization.boxes import SceneBox, place_tracks
from core.visualization.export import shown_colors
from core.visualization.scene import (
    SceneInfo,
    SceneLevel,
    build_packed,
    scene_info,
    true_boxes,
    unjudged,
)
from core.visualization.scene_surfaces import (
    PackedParts,
    SceneParts,
    keep_parts,
    load_parts,
    parts_file,
    parts_key,
)
from dashboard.background.processes import run_core
from dashboard.background.thread_jobs import Job, JobPool
from dashboard.studies.cohort import files_signature
from dashboard.studies.localizer import default_threshold, first_detections
from dashboard.studies.open_study import OpenStudy, cache_of
from dashboard.widgets.palette import VERTEBRA_COLORS

FILM_LIMIT_S = 240


@dataclass(frozen=True, slots=True, eq=False)
class SceneSources:
    """Sources of the surfaces of a study.

    Attributes:
        study: The study.
        mask: Segmentation of the vertebrae; None without one.
        lines: Mask of the fracture voxels, for synthetic studies only.
        presence: float32 (n_slices, 7), v_ij; used without a segmentation.
    """

    study: OpenStudy
    mask: Path | None
    lines: Path | None
    presence: NDArray[np.float32] | None

    def key(self) -> str:
        """Key of the surfaces: digest of the content of all sources."""
        files = [path for path in (self.mask, self.lines) if path is not None]
        sources = [_content(str(path), files_signature(path)) for path in files]
        if self.mask is None and self.presence is not None:
            sources.append(self.presence.tobytes())
        return parts_key(self.study.fingerprint, *sources)


def sources_of(
    study: OpenStudy, record: StudyRecord | None, scores: StudyScores | None
) -> SceneSources | None:
    """Sources of the surfaces; None while there is neither a mask nor scores."""
    mask = None if record is None else record.mask_file
    if mask is None and scores is None:
        return None
    presence = None if scores is None else scores.predictions.vertebra_probs
    return SceneSources(study, mask, None if record is None else lines_file(record), presence)


def surfaces_job(sources: SceneSources) -> Job[PackedParts]:
    """Job with the surfaces: from memory or disk, else built in the background."""
    key = sources.key()
    if (known := _pool().find(key)) is not None:
        return known
    if (stored := load_parts(cache_of(sources.study), key)) is not None:
        return _pool().put(key, stored)
    return _pool().submit(key, lambda _: _build(sources))


def unpacked(packed: PackedParts) -> SceneParts:
    """The surfaces as arrays, for figures and files."""
    return _unpacked(packed.key, packed)


def info_of(
    volume: CTVolume,
    record: StudyRecord | None,
    scores: StudyScores | None,
    *,
    threshold: float,
    synthetic: bool,
    predicted: tuple[SceneBox, ...] = (),
) -> SceneInfo:
    """Probabilities and boxes of a scene, as far as they are known without the surfaces."""
    return scene_info(
        volume,
        None,
        levels_of(scores),
        true_boxes=true_boxes(record, volume),
        predicted_boxes=predicted,
        start_slice=None if scores is None else scores.peak_slice,
        threshold=threshold,
        synthetic=synthetic,
    )


def whole_info(info: SceneInfo, packed: PackedParts) -> SceneInfo:
    """Probabilities and boxes of a scene with its surfaces."""
    return info.with_parts(unpacked(packed))


def predicted_boxes(study: OpenStudy) -> tuple[SceneBox, ...]:
    """Boxes of a localiser at or above its operating point; none if none has run on the study."""
    first = first_detections(study)
    if first is None:
        return ()
    bundle, found = first
    threshold = default_threshold(bundle)
    return place_tracks([t for t in boxes_3d(found) if t.score >= threshold], study.volume)


def levels_of(scores: StudyScores | None) -> Mapping[str, SceneLevel]:
    """Colours and probabilities of C1..C7 for the scene."""
    if scores is None:
        return unjudged(VERTEBRA_COLORS)
    return {
        name: SceneLevel(
            name,
            VERTEBRA_COLORS[name],
            prob=None if scores.ranges[j] is None else float(scores.patient.vertebra_probs[j]),
            slice_probs=tuple(float(p) for p in scores.predictions.fracture_probs[:, j]),
            slices=scores.ranges[j],
            peak=None if scores.ranges[j] is None else scores.peaks[j],
        )
        for j, name in enumerate(VERTEBRAE)
    }


def _build(sources: SceneSources) -> PackedParts:
    packed = build_packed(
        sources.study.volume,
        sources.key(),
        mask=sources.mask,
        lines=sources.lines,
        presence=sources.presence,
    )
    keep_parts(cache_of(sources.study), packed)
    return packed


def film_of(packed: PackedParts, info: SceneInfo, ending: str) -> bytes:
    """A turntable film of a scene, drawn in a separate process: VTK needs a main thread on macOS.

    Args:
        packed: Surfaces of the scene.
        info: Probabilities, for the colours.
        ending: "gif" or "mp4".

    Raises:
        SceneError: The machine cannot draw off-screen, or takes too long.
    """
    with tempfile.TemporaryDirectory() as folder:
        keep_parts(Path(folder), packed)
        surfaces = parts_file(Path(folder), packed.key)
        out = Path(folder) / f"film.{ending}"
        arguments = [str(surfaces), "--out", str(out), "--colors", json.dumps(shown_colors(info))]
        try:
            problem = run_core("film", *arguments, seconds=FILM_LIMIT_S)
        except TimeoutError as error:
            raise SceneError(
                f"The film was not ready after {FILM_LIMIT_S} s; `python -m core scene --film` "
                "has no limit."
            ) from error
        if problem is not None or not out.is_file():
            raise SceneError(f"The film could not be drawn: {problem or 'it gave no reason'}")
        return out.read_bytes()


@st.cache_resource(show_spinner=False)
def _pool() -> JobPool:
    """Pool with the surfaces of the last studies: a few MB each."""
    return JobPool("surfaces", keep=8)


@st.cache_resource(max_entries=4, show_spinner=False)
def _unpacked(key: str, _packed: PackedParts) -> SceneParts:
    del key
    return _packed.unpack()


@lru_cache(maxsize=32)
def _content(path: str, signature: str) -> bytes:
    """sha256 of a file, read again only once the file changes."""
    del signature
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
