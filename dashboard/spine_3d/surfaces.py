"""Surfaces of an open study, built in the background, and what another process draws of them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FunctionType
from typing import Any, Final

import streamlit as st

from core.errors import SceneError, WorkerError
from core.inference.boxes.tracks import boxes_3d
from core.system.process_limits import Limits
from core.system.sandbox import ConfinedWorker
from core.visualization.boxes import Corners, place_tracks
from core.visualization.export import film_look
from core.visualization.film import draw_film
from core.visualization.scene import SceneInfo
from core.visualization.scene_sources import SceneSources
from core.visualization.scene_surfaces import (
    PackedParts,
    SceneParts,
    keep_parts,
    load_parts,
    parts_file,
)
from dashboard.background.budget import FILMS, SURFACES, Turns
from dashboard.background.job import Job
from dashboard.background.shelf import Shelf
from dashboard.background.thread_jobs import JobPool
from dashboard.session.session_end import whose
from dashboard.studies.confined import read_mask
from dashboard.studies.localizer import default_threshold, first_detections
from dashboard.studies.on_screen import wish_for
from dashboard.studies.open_study import OpenStudy, cache_of

FILM_LIMIT_S: Final = 240.0
_MEMORY_BYTES: Final = 16 << 30
_UNPACKED: Final = Shelf[SceneParts](4)
_FILMS: Final = Turns("films", FILMS)


def surfaces_job(study: OpenStudy, sources: SceneSources) -> Job[PackedParts]:
    """Job with the surfaces: from memory or disk, else built in the background.

    Args:
        study: Study on the screen.
        sources: What they are built from.
    """
    cache, owner = cache_of(study), study.owner
    key = f"{owner or ''} {sources.key(cache)}"
    known = _pool().find(key)
    if known is not None and known.finished:
        return known
    if known is None and (stored := load_parts(cache, sources.key(cache))) is not None:
        return _pool().put(key, stored, **whose(owner))
    return _pool().submit(
        key,
        lambda _: sources.build(cache, read_mask),
        **whose(owner),
        wish=wish_for(study, "surfaces"),
    )


def unpacked(packed: PackedParts, owner: str | None) -> SceneParts:
    """The surfaces as arrays, for figures and files.

    Args:
        packed: The surfaces.
        owner: The only session that may see the study; None if every session may.
    """
    return _UNPACKED.get(packed.key, packed.unpack, owner=owner)


def whole_info(
    info: SceneInfo, packed: PackedParts, owner: str | None, *, lines: bool = True
) -> SceneInfo:
    """Probabilities and boxes of a scene with its surfaces.

    Args:
        info: The scene before its surfaces are known.
        packed: Surfaces of the scene.
        owner: As for `unpacked`.
        lines: Whether the true fracture lines may be shown.
    """
    found = info.with_parts(unpacked(packed, owner))
    return found if lines else replace(found, has_lines=False)


def predicted_boxes(study: OpenStudy) -> tuple[Corners, ...]:
    """Boxes of a localiser at or above its operating point; none if none has run on the study."""
    first = first_detections(study)
    if first is None:
        return ()
    bundle, found = first
    threshold = default_threshold(bundle)
    return place_tracks([t for t in boxes_3d(found) if t.score >= threshold], study.volume)


def film_of(packed: PackedParts, info: SceneInfo, ending: str, *, session: str) -> bytes:
    """A turntable film of a scene.

    Args:
        packed: Surfaces of the scene.
        info: Probabilities, for the colours.
        ending: "gif" or "mp4".
        session: Session that asks for it.

    Raises:
        SceneError: The machine cannot draw off-screen, or takes too long.
        TaskError: Too many films are waiting already.
    """
    with _FILMS.turn(session):
        look = film_look(info).to_json()
        return draw(draw_film, packed, f"film.{ending}", FILM_LIMIT_S, look=look)


def draw(
    task: Callable[..., Any], packed: PackedParts, name: str, seconds: float, **request: object
) -> bytes:
    """Draw a scene in another process: VTK needs a main thread on macOS and may hang.

    Args:
        task: Task for `ConfinedWorker` that reads "surfaces" and writes "out".
        packed: Surfaces of the scene.
        name: Name of the file to write.
        seconds: Time limit.
        request: Further values for the task.

    Returns:
        Content of the file.

    Raises:
        SceneError: The machine cannot draw off-screen, or takes too long.
    """
    with tempfile.TemporaryDirectory() as folder:
        keep_parts(Path(folder), packed)
        out = Path(folder) / name
        request |= {"surfaces": str(parts_file(Path(folder), packed.key)), "out": str(out)}
        try:
            _worker(task, seconds).call(request)
        except WorkerError as error:
            raise SceneError(
                f"PyVista did not draw the scene within {seconds:.0f} s or its process ended; try "
                "again, or use `python -m core scene`, which has no limit."
            ) from error
        return out.read_bytes()


@st.cache_resource(
    show_spinner=False,
    on_release=ConfinedWorker.close,
    hash_funcs={FunctionType: lambda task: f"{task.__module__}:{task.__qualname__}"},
)
def _worker(task: Callable[..., Any], seconds: float) -> ConfinedWorker:
    return ConfinedWorker(task, Limits(_MEMORY_BYTES, seconds))


@st.cache_resource(show_spinner=False)
def _pool() -> JobPool:
    """Pool with the surfaces of the last studies: a few MB each."""
    return JobPool("surfaces", SURFACES, keep=8)
