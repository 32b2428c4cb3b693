"""A search over hyper-parameters as it is asked for: settings, space, sampler and pruner."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.config import RunConfig, read_yaml
from core.constants import TaskName
from core.errors import ConfigError, first_fault

Choice = str | int | float | bool | None
Metric = Literal["auc", "auc_macro", "loss", "mean_iou", "dice"]
SamplerName = Literal["tpe", "gp", "random"]
PrunerName = Literal["median", "hyperband", "none"]

METRICS: Final[dict[TaskName, tuple[Metric, ...]]] = {
    "vertebra": ("auc", "auc_macro", "loss"),
    "fracture": ("auc", "auc_macro", "loss"),
    "localization": ("auc", "mean_iou"),
    "segmentation": ("dice",),
}
"""Measures on the held-out fold by task; the first is the usual one."""
SAMPLERS: Final = get_args(SamplerName)
PRUNERS: Final = get_args(PrunerName)


class Range(BaseModel):
    """An interval that a hyper-parameter is drawn from; integers if both ends are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None

    @model_validator(mode="after")
    def _can_be_drawn_from(self) -> Range:
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) is above high ({self.high}); swap them")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("a log range needs low > 0 and no step; correct one")
        return self


class SweepConfig(BaseModel):
    """A search: the fixed settings, the search space and the metric.

    `base` is a run config; `space` maps the keys that vary to a list of choices or a range.
    `sampler` chooses the values of the next trial: "tpe" and "gp" learn from the trials before
    (Gaussian processes from fewer of them), "random" does not. `pruner` ends poor trials early:
    "median" those below the median of the others at the same epoch, after `warmup_trials` trials;
    "hyperband" by successive halving (Li et al. 2018). `name` is for display.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: dict[str, Any]
    space: dict[str, Range | list[Choice]] = Field(min_length=1)
    metric: Metric = "auc"
    trials: int = Field(default=20, ge=1, le=10_000)
    sampler: SamplerName = "tpe"
    pruner: PrunerName = "median"
    warmup_trials: int = Field(default=4, ge=0)
    seed: int = Field(default=0, ge=0)
    name: str = Field(default="", max_length=80)

    @model_validator(mode="before")
    @classmethod
    def _of_older_versions(cls, content: Any) -> Any:  # noqa: ANN401 - any input
        """Files of older versions have `prune`, on or off."""
        if not isinstance(content, dict) or "prune" not in content:
            return content
        others = {key: value for key, value in content.items() if key != "prune"}
        return {"pruner": "median" if content["prune"] else "none", **others}

    @model_validator(mode="after")
    def _varies_known_keys(self) -> SweepConfig:
        unknown = sorted(set(self.space) - set(RunConfig.file_fields()))
        if unknown:
            raise ValueError(f"space names {unknown[0]!r}, which no run config has; remove it")
        empty = [key for key, values in self.space.items() if values == []]
        if empty:
            raise ValueError(f"space has no value for {empty[0]!r}; list one or more")
        if self.base.get("fold", 0) in ("all", None):
            raise ValueError("base needs one held-out fold to measure on; set fold to a number")
        known = METRICS.get(self.base.get("task", ""), ())
        if known and self.metric not in known:
            raise ValueError(f"this task measures {' or '.join(known)}; set metric to that")
        return self

    @property
    def is_minimised(self) -> bool:
        """Whether a lower metric is better."""
        return self.metric == "loss"

    def is_same_search(self, other: SweepConfig) -> bool:
        """Whether trials of both belong to one search, whatever their number and name."""
        free = {"trials", "name"}
        return self.model_dump(exclude=free) == other.model_dump(exclude=free)


def load_sweep_config(path: Path) -> SweepConfig:
    """Read a YAML sweep config.

    Raises:
        ConfigError: The file is missing, is not YAML, or holds an unknown key or an invalid value.
    """
    return checked_sweep(read_yaml(path), str(path))


def checked_sweep(content: dict[str, Any], where: str) -> SweepConfig:
    """Make a sweep config, whose fixed settings are checked as well.

    Args:
        content: Its fields.
        where: Where they were given, for the message.

    Raises:
        ConfigError: A key is unknown, or a value invalid.
    """
    try:
        sweep = SweepConfig(**content)
        RunConfig(**sweep.base)
    except ValidationError as error:
        raise ConfigError(f"{where}: {first_fault(error)}; correct that value.") from error
    return sweep
