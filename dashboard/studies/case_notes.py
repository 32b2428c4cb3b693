"""What helps to find a study again in a list: slices, levels called, reviewed, and the truth."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from core.constants import VERTEBRAE
from core.dataset.index import STUDIES_FILE, index_folder
from core.dataset.rsna import IMAGES_FOLDER, LABELS_FILE
from core.inference.outputs import SUMMARY_FILE
from core.models.operating_points import SavedOperatingPoint, operating_point
from core.models.pairs import BundlePair
from core.types import StudyRecord
from dashboard.background.shelf import Shelf
from dashboard.session.settings import settings
from dashboard.studies.cohort import CurrentDataSet, files_signature
from dashboard.studies.study_annotations import annotation_store

_CALLS: Final = frozenset({"fractured", "not fractured", "uncertain"})
_NOTES: Final = Shelf[dict[str, str]](8)
_SCORED: Final = Shelf["_Scored"](40_000)
"""One entry per stored prediction, which does not change once it is written."""


@dataclass(frozen=True, slots=True)
class _Scored:
    """A stored prediction: study, number of slices, p_j of the levels in view, whether called."""

    study_id: str
    n_slices: int
    probs: Mapping[str, float]
    called: bool


def case_notes(
    cohort: CurrentDataSet, pair: BundlePair | None, *, truth: bool, calls: bool
) -> dict[str, str]:
    """Notes on each study of a data set, in a few words: what is unknown is left out.

    Args:
        cohort: The data set.
        pair: The networks whose calls are named; None for none.
        truth: Whether the truth may be shown.
        calls: Whether the calls may be shown.

    Returns:
        Notes by study id, joined by " · ".
    """
    root, annotations = cohort.root, annotation_store().folder
    predictions = settings().rsna_cache / "predictions"
    point = None if pair is None or not calls else operating_point(pair.fracture, "vertebra")
    changes = (root / LABELS_FILE, root / IMAGES_FOLDER, annotations, predictions, _index(root))
    key = files_signature(*changes), None if pair is None else pair.digest, point, truth

    def make() -> dict[str, str]:
        scored, complete = ({}, True) if pair is None else _stored(predictions, pair.digest)
        slices = _slices(root) or {name: one.n_slices for name, one in scored.items()}
        reviewed = set(annotation_store().study_ids())
        found = {
            record.study_id: " · ".join(
                _parts(record, slices, scored if point else {}, point, reviewed, truth=truth)
            )
            for record in cohort.studies
        }
        if not complete:
            raise _IncompleteError(found)
        return found

    try:
        return _NOTES.get(key, make)
    except _IncompleteError as early:
        return early.notes


class _IncompleteError(Exception):
    """Some predictions are being written; the notes without them are not to be kept."""

    def __init__(self, notes: dict[str, str]) -> None:
        super().__init__()
        self.notes = notes


def _parts(
    record: StudyRecord, slices: Mapping[str, int], scored: Mapping[str, _Scored],
    point: SavedOperatingPoint | None, reviewed: set[str], *, truth: bool,
) -> list[str]:  # fmt: skip
    name, parts = record.study_id, list[str]()
    if name in slices:
        parts.append(f"{slices[name]} slices")
    if point is not None and name in scored:
        parts.append(_called(scored[name], point))
    if name in reviewed:
        parts.append("reviewed")
    if truth and record.fractured is not None:
        parts.append(f"truth {_levels(zip(VERTEBRAE, record.fractured, strict=True))}")
    return parts


def _called(scored: _Scored, point: SavedOperatingPoint) -> str:
    if not scored.called:
        return "no call"
    limits = zip(VERTEBRAE, point.per_vertebra or (point.threshold,) * 7, strict=True)
    return (
        f"calls {_levels((name, scored.probs.get(name, -1.0) >= limit) for name, limit in limits)}"
    )


def _levels(marked: Iterable[tuple[str, bool]]) -> str:
    return ", ".join(name for name, holds in marked if holds) or "none"


def _index(root: Path) -> Path:
    return index_folder(root.absolute(), settings().rsna_cache.absolute()) / STUDIES_FILE


def _slices(root: Path) -> dict[str, int]:
    """Slices by study id, from the index of the data set; empty without one."""
    if not (file := _index(root)).is_file():
        return {}
    table = pd.read_parquet(file, columns=["study_id", "n_slices"])
    return dict(zip(table["study_id"].astype(str), table["n_slices"].astype(int), strict=True))


def _stored(folder: Path, digest: str) -> tuple[dict[str, _Scored], bool]:
    """Stored predictions of a pair by study id, and whether all of them could be read."""
    found, complete = dict[str, _Scored](), True
    for place in folder.glob(f"*-{digest}"):
        file = place / SUMMARY_FILE
        try:
            one = _SCORED.get(str(file), lambda file=file: _read(file))
        except (OSError, ValueError, KeyError, TypeError):
            # Being written, or damaged: the study is listed without it.
            complete = False
            continue
        found[one.study_id] = one
    return found, complete


def _read(file: Path) -> _Scored:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    unseen = set(content["not_seen"])
    return _Scored(
        study_id=str(content["study_id"]),
        n_slices=int(content["n_slices"]),
        probs={k: float(v) for k, v in content["vertebrae"].items() if k not in unseen},
        called=content.get("call", "fractured") in _CALLS,
    )
