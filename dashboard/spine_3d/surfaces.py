"""From an open study to the surfaces of its scene: kept by content, built in the background."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.config import PROJECT_ROOT
from core.constants import VERTEBRAE
from core.dataset.rsna import lines_file
from core.errors import SceneError
from core.inference.boxes.tracks import FusionSettings, boxes_3d, detect
from core.inference.study_scores import StudyScores
from core.types import CTVolume, Progress, StudyRecord
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
from dashboard.background.futures import ready, then
from dashboard.background.thread_jobs import PredictionJob, PredictionQueue
from dashboard.studies.cohort import files_signature
from dashboard.studies.localizer import default_threshold, localizers
from dashboard.studies.open_study import OpenStudy, cache_of
from dashboard.studies.raw_boxes import find_raw
from dashboard.widgets.palette import VERTEBRA_COLORS

FILM_LIMIT_S = 240


@dataclass(frozen=True, slots=True, eq=False)
class SceneSources:
    """What a study's surfaces are made from.

    Attributes:
        study: The series.
        mask: Segmentation of its vertebrae, where there is one.
        lines: Mask of its fracture voxels, known for synthetic studies only.
        presence: float32 (n_slices, 7), v_ij; used where there is no segmentation.
    """

    study: OpenStudy
    mask: Path | None
    lines: Path | None
    presence: NDArray[np.float32] | None

    def key(self) -> str:
        """Name of the surfaces: the content of all sources."""
        files = [path for path in (self.mask, self.lines) if path is not None]
        sources = [_content(str(path), files_signature(path)) for path in files]
        if self.mask is None and self.presence is not None:
            sources.append(self.presence.tobytes())
        return parts_key(self.study.fingerprint, *sources)


def sources_of(
    study: OpenStudy, record: StudyRecord | None, reading: StudyScores | None
) -> SceneSources | None:
    """What can be cut into vertebrae; None while neither a mask nor the networks say where."""
    mask = None if record is None else record.mask_file
    if mask is None and reading is None:
        return None
    presence = None if reading is None else reading.predictions.vertebra_probs
    return SceneSources(study, mask, None if record is None else lines_file(record), presence)


def find_parts(sources: SceneSources) -> PackedParts | None:
    """The surfaces, if they were built before."""
    key = sources.key()
    known = _kept().get(key)
    if known is None:
        known = load_parts(cache_of(sources.study), key)
        if known is not None:
            _remember(known)
    return known


def coming_parts(sources: SceneSources) -> Future[PackedParts]:
    """The surfaces; where there are none, they are built in the background."""
    known = find_parts(sources)
    if known is not None:
        return ready(known)
    job = start_parts(sources)
    if job.future is None:
        raise SceneError("The surfaces were not asked for; open the page again.")
    return then(job.future, lambda _: _built(sources))


def start_parts(sources: SceneSources) -> PredictionJob:
    """Build the surfaces in the background and keep them; a failure stays until it is forgotten."""
    known = _queue().find(sources.key())
    if known is not None and known.error is not None:
        return known

    def work(progress: Progress) -> None:
        del progress
        _build(sources)

    return _queue().submit(sources.key(), work)


def parts_error(sources: SceneSources) -> str | None:
    """Why the surfaces could not be built; None while they may come or are there."""
    job = _queue().find(sources.key())
    return None if job is None else job.error


def forget_parts(sources: SceneSources) -> None:
    """Make room for another try."""
    _queue().forget(sources.key())


def unpacked(packed: PackedParts) -> SceneParts:
    """The surfaces as arrays, for figures and files."""
    return _unpacked(packed.key, packed)


def info_of(
    volume: CTVolume,
    record: StudyRecord | None,
    reading: StudyScores | None,
    *,
    threshold: float,
    synthetic: bool,
    predicted: tuple[SceneBox, ...] = (),
) -> SceneInfo:
    """What the scene says of a study, as far as it is known without the surfaces."""
    return scene_info(
        volume,
        None,
        levels_of(reading),
        true_boxes=true_boxes(record, volume),
        predicted_boxes=predicted,
        start_slice=None if reading is None else reading.peak_slice,
        threshold=threshold,
        synthetic=synthetic,
    )


def whole_info(info: SceneInfo, packed: PackedParts) -> SceneInfo:
    """What the scene says, now that its surfaces are there."""
    return info.with_parts(unpacked(packed))


def predicted_boxes(study: OpenStudy) -> tuple[SceneBox, ...]:
    """What a localiser found, above its operating point; nothing where none has read the study."""
    for bundle in localizers():
        raw = find_raw(study, bundle)
        if raw is not None:
            least = default_threshold(bundle)
            tracks = boxes_3d(detect(raw, FusionSettings()))
            return place_tracks([t for t in tracks if t.score >= least], study.volume)
    return ()


def levels_of(reading: StudyScores | None) -> Mapping[str, SceneLevel]:
    """C1..C7 as a scene shows them."""
    if reading is None:
        return unjudged(VERTEBRA_COLORS)
    return {
        name: SceneLevel(
            name,
            VERTEBRA_COLORS[name],
            prob=None if reading.ranges[j] is None else float(reading.patient.vertebra_probs[j]),
            slice_probs=tuple(float(p) for p in reading.predictions.fracture_probs[:, j]),
            slices=reading.ranges[j],
            peak=None if reading.ranges[j] is None else reading.peaks[j],
        )
        for j, name in enumerate(VERTEBRAE)
    }


def _built(sources: SceneSources) -> PackedParts:
    packed = find_parts(sources)
    if packed is None:
        raise SceneError("The surfaces could not be kept; make room on the disk and try again.")
    return packed


def _build(sources: SceneSources) -> None:
    packed = build_packed(
        sources.study.volume,
        sources.key(),
        mask=sources.mask,
        lines=sources.lines,
        presence=sources.presence,
    )
    _remember(packed)
    keep_parts(cache_of(sources.study), packed)


def film_of(packed: PackedParts, info: SceneInfo, ending: str) -> bytes:
    """A turntable of a scene, drawn by a process of its own: VTK needs a main thread on macOS.

    Args:
        packed: The surfaces.
        info: Gives the colours.
        ending: "gif" or "mp4".

    Raises:
        SceneError: The machine cannot draw off-screen, or takes too long.
    """
    with tempfile.TemporaryDirectory() as folder:
        keep_parts(Path(folder), packed)
        surfaces = parts_file(Path(folder), packed.key)
        out = Path(folder) / f"film.{ending}"
        colors = json.dumps(shown_colors(info))
        command = [sys.executable, "-m", "core", "film", str(surfaces), "--out", str(out)]
        try:
            done = subprocess.run(
                [*command, "--colors", colors],
                cwd=PROJECT_ROOT,
                capture_output=True,
                text=True,
                timeout=FILM_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise SceneError(
                f"The film was not ready after {FILM_LIMIT_S} s; `python -m core scene --film` "
                "has no limit."
            ) from error
        if done.returncode != 0 or not out.is_file():
            reason = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
            raise SceneError(f"The film could not be drawn: {reason.removeprefix('Error: ')}")
        return out.read_bytes()


@st.cache_resource(show_spinner=False)
def _queue() -> PredictionQueue:
    return PredictionQueue()


@st.cache_resource(show_spinner=False)
def _kept() -> dict[str, PackedParts]:
    """The surfaces of the last studies, in memory: a few MB each."""
    return {}


def _remember(packed: PackedParts) -> None:
    kept = _kept()
    kept[packed.key] = packed
    while len(kept) > 8:
        kept.pop(next(iter(kept)), None)


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
