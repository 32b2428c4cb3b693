"""Operating points in a bundle: saved with where they come from, and taken back."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from core.constants import VERTEBRAE
from core.errors import BundleError
from core.models.bundles import CONFIG_FILE, OPERATING_POINTS_FILE
from core.system import atomic_files

HISTORY: Final = "history"
HISTORY_LIMIT: Final = 100
PointLevel = Literal["slice", "vertebra", "patient", "presence"]


@dataclass(frozen=True, slots=True)
class SavedPoint:
    """An operating point to keep.

    Attributes:
        threshold: A score >= threshold is a call; for all vertebrae together.
        rule: What chose it, in words.
        data: What it was chosen on, in words.
        per_vertebra: A threshold each by name of C1..C7; None for one shared.
        asked: The number that the rule was given; None for rules without one.
    """

    threshold: float
    rule: str
    data: str
    per_vertebra: Mapping[str, float] | None = None
    asked: float | None = None


@dataclass(frozen=True, slots=True)
class PastPoint:
    """What a level's point was before it was replaced.

    Attributes:
        level: The level.
        entry: As it stood in the file; None where there was none.
        replaced: When, ISO 8601 in UTC.
    """

    level: str
    entry: dict[str, Any] | None
    replaced: str


def save_operating_point(folder: Path, level: PointLevel, point: SavedPoint) -> None:
    """Make `point` the level's operating point; the one before goes to the history.

    Args:
        folder: The bundle.
        level: The level.
        point: What to keep.

    Raises:
        BundleError: The folder is no bundle, its file is broken, or the point is unusable.
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
    """Put back what the level's point was before it was last saved.

    Returns:
        What was put back.

    Raises:
        BundleError: Nothing was saved at this level, the folder is no bundle or its file broken.
        StorageError: The file cannot be written.
    """
    content = _read(folder)
    history = _history(content, folder)
    place = next((k for k in reversed(range(len(history))) if history[k].get("level") == level), -1)
    if place < 0:
        raise BundleError(f"{folder.name} has no saved {level} threshold to take back.")
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
    """What the level's point was before, the latest first.

    Raises:
        BundleError: The folder is no bundle or its file is broken.
    """
    return [
        PastPoint(level, past.get("entry"), str(past.get("replaced", "")))
        for past in reversed(_history(_read(folder), folder))
        if past.get("level") == level
    ]


def _check(point: SavedPoint) -> None:
    values = [point.threshold, *(point.per_vertebra or {}).values()]
    # A rule that calls nothing sets a threshold just above the highest score there can be.
    if not all(0.0 <= value < 1.001 for value in values):
        raise BundleError("A threshold is NaN or leaves [0, 1]; choose another.")
    if point.per_vertebra is not None and set(point.per_vertebra) != set(VERTEBRAE):
        raise BundleError("Thresholds for the vertebrae must name each of C1..C7 once.")


def _read(folder: Path) -> dict[str, Any]:
    if not (folder / CONFIG_FILE).is_file():
        raise BundleError(f"{folder} has no {CONFIG_FILE}; name a bundle's folder.")
    file = folder / OPERATING_POINTS_FILE
    try:
        content = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise BundleError(f"{file} cannot be read as JSON; restore it.") from error
    if not isinstance(content, dict):
        raise BundleError(f"{file} does not hold a JSON object; restore it.")
    return content


def _history(content: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    history = content.get(HISTORY, [])
    if not isinstance(history, list) or not all(isinstance(past, dict) for past in history):
        raise BundleError(
            f"{folder / OPERATING_POINTS_FILE}: history is not a list of objects; restore it."
        )
    return list(history)
