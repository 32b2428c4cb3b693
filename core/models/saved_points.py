"""Operating points in a bundle: saved with their origin, listed and undone."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from core.constants import VERTEBRAE
from core.errors import BundleError
from core.models.bundles import CONFIG_FILE, OPERATING_POINTS_FILE, read_json_object
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
    """

    threshold: float
    rule: str
    data: str
    per_vertebra: Mapping[str, float] | None = None
    asked: float | None = None


@dataclass(frozen=True, slots=True)
class PastPoint:
    """A level's operating point before it was replaced.

    Attributes:
        level: The level.
        entry: Its entry in the file; None if there was none.
        replaced: Time of the replacement, ISO 8601 in UTC.
    """

    level: str
    entry: dict[str, Any] | None
    replaced: str


def save_operating_point(folder: Path, level: PointLevel, point: SavedPoint) -> None:
    """Make `point` the level's operating point; the previous one goes to the history.

    Args:
        folder: Folder of the bundle.
        level: The level.
        point: The new operating point.

    Raises:
        BundleError: The folder is not a bundle, its file is damaged, or the point is invalid.
        StorageError: The file cannot be written.
    """
    _check(point)
    content = _read(folder)
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
    if point.per_vertebra is not None:
        entry["per_vertebra"] = dict(point.per_vertebra)
    history = [*_history(content, folder), past][-HISTORY_LIMIT:]
    atomic_files.write_json(
        folder / OPERATING_POINTS_FILE, content | {level: entry, HISTORY: history}
    )


def undo_operating_point(folder: Path, level: PointLevel) -> PastPoint:
    """Restore the level's operating point before the last save.

    Returns:
        The restored point.

    Raises:
        BundleError: Nothing was saved at this level, the folder is not a bundle, or its file is
            damaged.
        StorageError: The file cannot be written.
    """
    content = _read(folder)
    history = _history(content, folder)
    place = next((k for k in reversed(range(len(history))) if history[k].get("level") == level), -1)
    if place < 0:
        raise BundleError(f"{folder.name} has no saved {level} threshold to undo.")
    past = history.pop(place)
    if past.get("entry") is None:
        content.pop(level, None)
    else:
        content[level] = past["entry"]
    content[HISTORY] = history
    if not history:
        del content[HISTORY]
    atomic_files.write_json(folder / OPERATING_POINTS_FILE, content)
    return PastPoint(level, past.get("entry"), str(past.get("replaced", "")))


def point_history(folder: Path, level: PointLevel) -> list[PastPoint]:
    """List the level's previous points, the latest first.

    Raises:
        BundleError: The folder is not a bundle or its file is damaged.
    """
    return [
        PastPoint(level, past.get("entry"), str(past.get("replaced", "")))
        for past in reversed(_history(_read(folder), folder))
        if past.get("level") == level
    ]


def _check(point: SavedPoint) -> None:
    values = [point.threshold, *(point.per_vertebra or {}).values()]
    # A rule that calls nothing sets a threshold just above the highest possible score.
    if not all(0.0 <= value < 1.001 for value in values):
        raise BundleError("A threshold is NaN or outside [0, 1]; choose another.")
    if point.per_vertebra is not None and set(point.per_vertebra) != set(VERTEBRAE):
        raise BundleError("Thresholds for the vertebrae must name each of C1..C7 once.")


def _read(folder: Path) -> dict[str, Any]:
    if not (folder / CONFIG_FILE).is_file():
        raise BundleError(f"{folder} has no {CONFIG_FILE}; name a bundle's folder.")
    return read_json_object(folder / OPERATING_POINTS_FILE) or {}


def _history(content: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    history = content.get(HISTORY, [])
    if not isinstance(history, list) or not all(isinstance(past, dict) for past in history):
        raise BundleError(
            f"{folder / OPERATING_POINTS_FILE}: history is not a list of objects; restore it."
        )
    return list(history)
