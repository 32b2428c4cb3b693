"""Operating points that a team sets: saved with their origin, listed and undone."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from core.constants import VERTEBRAE
from core.errors import BundleError
from core.models.bundles import read_json_object
from core.system import atomic_files

HISTORY: Final = "history"
HISTORY_LIMIT: Final = 100
PointLevel = Literal["slice", "vertebra", "patient", "presence"]


@dataclass(frozen=True, slots=True)
class SavedPoint:
    """An operating point to keep.

    Attributes:
        threshold: A score >= threshold is a call; shared by all vertebrae.
        rule: Description of the rule that chose it.
        data: Description of the data it was chosen on.
        per_vertebra: Thresholds by vertebra name C1..C7; None for the shared one.
        asked: Parameter of the rule; None for rules without one.
        by: Who saves it; "" where that is unknown.
    """

    threshold: float
    rule: str
    data: str
    per_vertebra: Mapping[str, float] | None = None
    asked: float | None = None
    by: str = ""


@dataclass(frozen=True, slots=True)
class PastPoint:
    """A level's operating point before it was replaced.

    Attributes:
        level: The level.
        entry: Its entry in the file; None if the shipped one was used.
        replaced: Time of the replacement, ISO 8601 in UTC.
    """

    level: str
    entry: dict[str, Any] | None
    replaced: str


def save_operating_point(file: Path, level: PointLevel, point: SavedPoint) -> None:
    """Make `point` the level's operating point; the previous one goes to the history.

    Args:
        file: From `core.models.bundles.team_points_file`.
        level: The level.
        point: The new operating point.

    Raises:
        BundleError: The file is damaged, or the point is invalid.
        StorageError: The file cannot be written.
    """
    _check(point)
    content = _read(file)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    past = {"level": level, "entry": content.get(level), "replaced": now}
    entry: dict[str, Any] = {
        "threshold": point.threshold,
        "rule": point.rule,
        "data": point.data,
        "saved": now,
    }
    if point.asked is not None:
        entry["asked"] = point.asked
    if point.by:
        entry["by"] = point.by
    if point.per_vertebra is not None:
        entry["per_vertebra"] = dict(point.per_vertebra)
    history = [*_history(content, file), past][-HISTORY_LIMIT:]
    atomic_files.write_json(file, content | {level: entry, HISTORY: history})


def undo_operating_point(file: Path, level: PointLevel) -> PastPoint:
    """Restore the level's operating point before the last save.

    Returns:
        The restored point.

    Raises:
        BundleError: Nothing was saved at this level, or the file is damaged.
        StorageError: The file cannot be written.
    """
    content = _read(file)
    history = _history(content, file)
    place = next((k for k in reversed(range(len(history))) if history[k].get("level") == level), -1)
    if place < 0:
        raise BundleError(f"{file.stem} has no saved {level} threshold to undo.")
    past = history.pop(place)
    if past.get("entry") is None:
        content.pop(level, None)
    else:
        content[level] = past["entry"]
    content[HISTORY] = history
    if not history:
        del content[HISTORY]
    atomic_files.write_json(file, content)
    return PastPoint(level, past.get("entry"), str(past.get("replaced", "")))


def point_history(file: Path, level: PointLevel) -> list[PastPoint]:
    """List the level's previous points, the latest first.

    Raises:
        BundleError: The file is damaged.
    """
    return [
        PastPoint(level, past.get("entry"), str(past.get("replaced", "")))
        for past in reversed(_history(_read(file), file))
        if past.get("level") == level
    ]


def _check(point: SavedPoint) -> None:
    values = [point.threshold, *(point.per_vertebra or {}).values()]
    # A rule that calls nothing sets a threshold just above the highest possible score.
    if not all(0.0 <= value < 1.001 for value in values):
        raise BundleError("A threshold is NaN or outside [0, 1]; choose another.")
    if point.per_vertebra is not None and set(point.per_vertebra) != set(VERTEBRAE):
        raise BundleError("Thresholds for the vertebrae must name each of C1..C7 once.")


def _read(file: Path) -> dict[str, Any]:
    return read_json_object(file) or {}


def _history(content: dict[str, Any], file: Path) -> list[dict[str, Any]]:
    history = content.get(HISTORY, [])
    if not isinstance(history, list) or not all(isinstance(past, dict) for past in history):
        raise BundleError(f"{file}: history is not a list of objects; restore it.")
    return list(history)
