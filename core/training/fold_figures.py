"""Results of a run over all folds, read without its networks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from core.errors import TrainingError

SUMMARY_FILE: Final = "cross_validation.json"
LEVELS: Final = ("presence", "slice", "vertebra", "patient")


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure over the folds.

    Attributes:
        mean: Mean over the folds where it is defined; None if it is defined in none.
        sd: Sample standard deviation; None with fewer than two.
        values: Value of each fold, None where undefined.
    """

    mean: float | None
    sd: float | None
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class FoldFigure(Spread):
    """One figure at one level, over the folds and pooled.

    Attributes:
        level: "presence", "slice", "vertebra" or "patient".
        pooled: Value of all out-of-fold predictions together; None if undefined.
        interval: 95 % interval of `pooled` by patient bootstrap; None if there is none.
    """

    level: str
    pooled: float | None
    interval: tuple[float, float] | None


def read_fold_figures(run_folder: Path, name: str = "auc") -> list[FoldFigure]:
    """Read one figure of a run over all folds at every level.

    Args:
        run_folder: Folder of the run.
        name: "auc", "average_precision", "f1", "recall", "precision" or "accuracy".

    Returns:
        Figures by level, presence first; empty until the run has pooled its folds.

    Raises:
        TrainingError: The summary exists but cannot be read.
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


def _figure(level: str, spread: dict[str, Any], pooled: dict[str, Any], name: str) -> FoldFigure:
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
