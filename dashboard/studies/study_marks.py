"""Marks of the study on show: kept with its annotations, or for this session only.

Marks of an upload, of a folder and of a user who may not change anything stay in the session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from core.annotations.marks import (
    FOLDER_NAME,
    Mark,
    MarkStore,
    PointLps,
    changed,
    check_count,
    made_mark,
)
from core.errors import AnnotationError, CSpineError
from dashboard.session import state
from dashboard.session.access import may_change
from dashboard.studies.open_study import OpenStudy
from dashboard.studies.study_annotations import annotation_store

_SESSION: Final = "_marks_"
_SEEN: Final = "_marks_seen_"
_PROBLEM: Final = "_marks_problem_"
_MOST_CHANGES: Final = 5_000


@dataclass(frozen=True, slots=True, eq=False)
class MarkedStudy:
    """What marks need of a study, without its voxels: a callback of the viewer outlives them.

    Attributes:
        fingerprint: Fingerprint of the series.
        owner: The only session that may see it; None if every session may.
        study_id: Its id in the data set; None keeps its marks in the session.
        affine: float64 (4, 4), from voxels (z, y, x) to LPS mm.
    """

    fingerprint: str
    owner: str | None
    study_id: str | None
    affine: NDArray[np.float64]

    @classmethod
    def of(cls, study: OpenStudy, study_id: str | None) -> Self:
        """The marks' part of a study."""
        return cls(study.fingerprint, study.owner, study_id, np.array(study.volume.affine))


def mark_store() -> MarkStore:
    """The marks of this installation."""
    return MarkStore(annotation_store().folder / FOLDER_NAME)


def shown_marks(study: MarkedStudy, viewer: str) -> dict[str, Any]:
    """Describe the marks of a study for the browser.

    Args:
        study: The study.
        viewer: Key of the viewer.
    """
    problem = state.recall(_PROBLEM + viewer)
    kept: Mapping[str, Mark] = {}
    if study.study_id is not None and study.owner is None:
        try:
            log = mark_store().read(study.study_id)
        except CSpineError as error:
            problem = problem or str(error)
        else:
            kept = log.marks
            problem = problem or next(iter(log.problems), None)
    marks = changed(kept, _session_marks(study))
    return {
        "marks": [_payload(name, mark, study.affine) for name, mark in marks.items()],
        "seen": _seen(study, viewer),
        "problem": problem,
    }


def take_marks(study: MarkedStudy, viewer: str, source: str, report: Mapping[str, Any]) -> None:
    """Keep the changes that a browser reports; for the viewer's callback.

    Args:
        study: Study that the viewer shows.
        viewer: Key of the viewer.
        source: Name of the study in the browser.
        report: `study`, its name, and `changes`, each with `serial`, `id` and `mark`.
    """
    if report.get("study") != source:
        return  # drawn on the study that was on show before
    seen = _seen(study, viewer)
    fresh = [one for one in report.get("changes", ()) if int(one["serial"]) > seen]
    if not fresh:
        return
    state.remember(_SEEN + viewer, (study.fingerprint, max(int(one["serial"]) for one in fresh)))
    state.remember(_PROBLEM + viewer, None)
    try:
        changes = _read(fresh[:_MOST_CHANGES], study.affine)
        check_count(changed({}, _session_marks(study) | changes))
    except CSpineError as error:
        state.remember(_PROBLEM + viewer, str(error))
        return
    try:
        if study.study_id is not None and study.owner is None and may_change():
            mark_store().change(study.study_id, changes)
            return
    except CSpineError as error:
        # They are shown until the session ends, so that nobody draws them again in vain.
        state.remember(_PROBLEM + viewer, str(error))
    _keep(study, changes)


def _read(
    reported: Sequence[Mapping[str, Any]], affine: NDArray[np.float64]
) -> dict[str, Mark | None]:
    changes: dict[str, Mark | None] = {}
    try:
        for one in reported:
            mark = one["mark"]
            changes[str(one["id"])] = mark and made_mark(
                kind=mark["kind"], plane=mark["plane"], text=str(mark.get("text", "")),
                points=_lps(mark["points"], affine),
            )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise AnnotationError(
            "The browser reported a mark that is none; reload the page and draw it again."
        ) from error
    return changes


def _lps(points: object, affine: NDArray[np.float64]) -> tuple[PointLps, ...]:
    """Voxel indices (z, y, x), between centres too, as LPS mm."""
    voxels = np.asarray(points, np.float64).reshape(-1, 3)
    mm = voxels @ affine[:3, :3].T + affine[:3, 3]
    return tuple((x, y, z) for x, y, z in np.round(mm, 6).tolist())


def _payload(name: str, mark: Mark, affine: NDArray[np.float64]) -> dict[str, Any]:
    inverse = np.linalg.inv(affine)
    voxels = np.array(mark.points) @ inverse[:3, :3].T + inverse[:3, 3]
    return {
        "id": name,
        "kind": mark.kind,
        "plane": mark.plane,
        "points": np.round(voxels, 4).tolist(),
        "text": mark.text,
    }


def _seen(study: MarkedStudy, viewer: str) -> int:
    """Serial number of the last change of a viewer on this study that was kept."""
    fingerprint, serial = state.recall(_SEEN + viewer, (study.fingerprint, 0))
    return serial if fingerprint == study.fingerprint else 0


def _session_marks(study: MarkedStudy) -> dict[str, Mark | None]:
    return state.recall(_SESSION + study.fingerprint, {})


def _keep(study: MarkedStudy, changes: Mapping[str, Mark | None]) -> None:
    state.remember(_SESSION + study.fingerprint, _session_marks(study) | dict(changes))
