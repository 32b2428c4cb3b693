"""Reading back what a run over all folds found, without its networks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from core.errors import TrainingError

SUMMARY_FILE: Final = "cross_validation.json"
LEVELS: Final = ("presence", "slice", "vertebra", "patient")


@dataclass(frozen=True, slots=True)
class FoldFigure:
    """One figure at one level, over the folds and pooled.

    Attributes:
        level: "presence", "slice", "vertebra" or "patient".
        mean: Over the folds where it is defined; None where it is in none.
        sd: Sample standard deviation over the folds; None with fewer than two.
        values: A fold each, None where undefined.
        pooled: Of all out-of-fold predictions together; None where undefined.
        interval: Its 95 % interval by patient bootstrap; None where there is none.
    """

    level: str
    mean: float | None
    sd: float | None
    values: tuple[float | None, ...]
    pooled: float | None
    interval: tuple[float, float] | None


def read_fold_figures(run_folder: Path, name: str = "auc") -> list[FoldFigure]:
    """Read one figure at every level that a run over all folds measured.

    Args:
        run_folder: The run.
        name: "auc", "average_precision", "f1", "recall", "precision" or "accuracy".

    Returns:
        By level, presence first; empty while the run has not pooled its folds.

    Raises:
        TrainingError: The summary is there and cannot be read.
    """
    path = run_folder / SUMMARY_FILE
    try:
        content = json.loads(path.read_text())
        folds, pooled = content["folds"], content["pooled"]
        return [_figure(level, folds[level][name], pooled[level], name)
                for level in LEVELS if level in folds]  # fmt: skip
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path} cannot be read; resume the run to write it again.") from error


def _figure(
    level: str, spread: dict[str, Any], pooled: dict[str, Any], name: str
) -> FoldFigure:  # fmt: skip
    measured = pooled["pooled"] if level == "presence" else pooled
    bounds = (measured.get("intervals") or {}).get(name)
    return FoldFigure(
        level=level,
        mean=spread["mean"],
        sd=spread["sd"],
        values=tuple(spread["values"]),
        pooled=measured[name],
        interval=None if bounds is None else (float(bounds[0]), float(bounds[1])),
    )
