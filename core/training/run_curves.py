"""Measured curves of a run, as they are drawn: axes, smoothing, and the epoch that is kept."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Axis = Literal["step", "epoch", "hours"]
MEASURES: Final = {"auc": "AUC", "dice": "Dice coefficient"}
"""Measures by which runs are judged, by their name in the metrics; a run has one of them."""


def smoothed(values: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """Exponential moving average, without its bias towards 0 at the start.

    With w the weight::

        m_t = w m_(t-1) + (1 - w) x_t,   s_t = m_t / (1 - w^t)

    (Kingma & Ba 2015, as TensorBoard smooths.)

    Args:
        values: float64 (n,), finite.
        weight: w, 0 <= w < 1; 0 changes nothing.

    Raises:
        ValueError: The weight is out of range.
    """
    if not 0 <= weight < 1:
        raise ValueError(f"The weight of a moving average is in [0, 1), not {weight:g}.")
    if weight == 0 or not len(values):
        return values
    found = pd.Series(values).ewm(alpha=1 - weight, adjust=True).mean()
    return found.to_numpy(np.float64)


def positions(
    lines: pd.DataFrame, axis: Axis, steps_per_epoch: float | None
) -> NDArray[np.float64]:
    """Places of lines of metrics on an axis.

    Args:
        lines: Lines of one event, with "step" and, for hours, "time" (ISO 8601).
        axis: Step; epochs finished, with parts of them; or hours since the first line, breaks of a
            resumed run included.
        steps_per_epoch: From `steps_per_epoch`; None: whole epochs, as written.

    Returns:
        float64 (n,); NaN where the place is not known.
    """
    step = lines["step"].to_numpy(np.float64)
    if axis == "step":
        return step
    if axis == "hours":
        if "time" not in lines:
            return np.full(len(lines), np.nan)
        when = pd.to_datetime(lines["time"], utc=True, format="ISO8601")
        return ((when - when.iloc[0]).dt.total_seconds() / 3600).to_numpy(np.float64)
    if steps_per_epoch:
        return step / steps_per_epoch
    if "epoch" not in lines:
        return np.full(len(lines), np.nan)
    return lines["epoch"].to_numpy(np.float64)


def steps_per_epoch(validation: pd.DataFrame) -> float | None:
    """Steps of one epoch, from the measures at the ends of epochs; None without any."""
    if validation.empty or not {"step", "epoch"} <= set(validation):
        return None
    last = validation.iloc[-1]
    return float(last["step"]) / float(last["epoch"]) if last["epoch"] else None


def kept_epoch(validation: pd.DataFrame, keep: Literal["best", "last"]) -> int | None:
    """Epoch whose weights are in the bundle, as far as the run has come; None before it is known.

    Args:
        validation: Lines of "validation", in the order of steps; `deficit` is what epochs are
            compared by. Runs of before have no such column: their slice networks were compared by
            the loss.
        keep: The run's `keep_epoch`.
    """
    if validation.empty or "epoch" not in validation:
        return None
    if keep == "last":
        return int(validation["epoch"].iloc[-1])
    judged = next((name for name in ("deficit", "loss") if name in validation), None)
    if judged is None:
        return None
    values = validation[judged].to_numpy(np.float64)
    if np.isnan(values).all():
        return None
    # The first of equal epochs is kept.
    return int(validation["epoch"].iloc[int(np.nanargmin(values))])


def measure_of(validation: pd.DataFrame) -> str | None:
    """Name of the measure that a run is judged by; None where it has none."""
    for name in MEASURES:
        if name in validation and np.isfinite(validation[name].to_numpy(np.float64)).any():
            return name
    return None


def by_level(validation: pd.DataFrame) -> pd.DataFrame:
    """Measure of each output over the epochs: a column per output, indexed by epoch.

    Empty for a network with one output.

    Args:
        validation: Lines of "validation".
    """
    name = next((one for one in ("auc_by_output", "dice_by_class") if one in validation), None)
    if name is None or "epoch" not in validation:
        return pd.DataFrame()
    rows = [row if isinstance(row, dict) else {} for row in validation[name]]
    table = pd.DataFrame(rows, index=pd.Index(validation["epoch"].astype(int), name="epoch"))
    table = table.astype(float).dropna(axis="columns", how="all")
    return table if table.shape[1] > 1 else pd.DataFrame()
