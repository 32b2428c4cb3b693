"""Which fields of the training form matter for what is trained, and which do not apply at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from core.config import RunConfig
from core.constants import TASK_FACTS, TaskFacts
from dashboard.training.form_fields import FIELDS, FormField

Values = Mapping[str, Any]

_ALWAYS: Final = (
    "task", "backbone", "init_from", "data_root", "fold", "size", "augment", "epochs", "batch_size",
    "max_lr",
)  # fmt: skip
_SLICES: Final = ("vertebra", "fracture")
"""Tasks of slice networks."""
_MATTERS: Final[dict[str, tuple[str, ...]]] = {
    "vertebra": ("type", "channels", "slices_per_study"),
    "fracture": ("type", "head", "fracture_target", "channels", "field_mm", "balanced"),
    "localization": ("channels", "field_mm", "negatives"),
    "segmentation": ("field_mm", "weight_decay", "ema_decay"),
}
"""Keys that matter for a task besides `_ALWAYS`."""


def _facts(values: Values) -> TaskFacts:
    return TASK_FACTS[values["task"]]


def _trains_slices(values: Values) -> bool:
    return values["task"] in _SLICES


def _detects_fractures(values: Values) -> bool:
    return values["task"] == "fracture"


def _is_localiser(values: Values) -> bool:
    return values["task"] == "localization"


def _has_window(values: Values) -> bool:
    return values["channels"] != "windows"


def _changes_slices(values: Values) -> bool:
    return _trains_slices(values) and bool(values["augment"])


def _stops_early(values: Values) -> bool:
    return bool(values["early_stopping"])


_APPLIES: Final[dict[str, Callable[[Values], bool]]] = {
    "type": lambda v: len(_facts(v).types) > 1,
    "backbone": lambda v: len(choices_of("backbone", v) or ()) > 1,
    "head": lambda v: len(_facts(v).heads) > 1,
    "channels": lambda v: len(_facts(v).channels) > 1,
    "freeze_backbone": _trains_slices,
    "pretrained": lambda v: v["task"] != "segmentation",
    "alpha": lambda v: _detects_fractures(v) and v["type"] == 3,
    "fracture_target": _detects_fractures,
    "vertebra_bundle": _detects_fractures,
    "anchors_per_level": _is_localiser,
    "negatives": _is_localiser,
    "slices_per_study": _trains_slices,
    "balanced": _trains_slices,
    "crop": lambda v: not v["field_mm"],
    "window_center": _has_window,
    "window_width": _has_window,
    "noise_threshold": lambda v: v["noise_reduction"] == "threshold",
    "noise_clusters": lambda v: v["noise_reduction"] == "kmeans",
    **{key.key: _changes_slices for key in FIELDS["Augmentation"] if key.key != "augment"},
    "augment_on": lambda v: v["task"] != "segmentation" and bool(v["augment"]),
    "early_stopping_loss": _stops_early,
    "early_stopping_delta": _stops_early,
    "early_stopping_patience": _stops_early,
    "early_stopping_every": lambda v: _stops_early(v) and v["early_stopping_loss"] == "training",
}
"""When a field has an effect; others always have one."""


def applies(key: str, values: Values) -> bool:
    """Whether a field has an effect on a run.

    Args:
        key: Key of the field.
        values: Values of the form by key.
    """
    return key not in _APPLIES or _APPLIES[key](values)


def essential(values: Values) -> dict[str, tuple[FormField, ...]]:
    """Fields that matter for what is trained, by group."""
    return _grouped(values, wanted=True)


def advanced(values: Values) -> dict[str, tuple[FormField, ...]]:
    """All other fields that have an effect, by group."""
    return _grouped(values, wanted=False)


def fields_of(config: RunConfig) -> list[FormField]:
    """Fields that have an effect on a run of this config, the essential ones first."""
    values = {**config.model_dump(), **config.preparation.model_dump()}
    groups = [*essential(values).values(), *advanced(values).values()]
    return [field for group in groups for field in group]


def choices_of(key: str, values: Values) -> tuple[Any, ...] | None:
    """Choices that the task leaves of a field; None where it leaves all."""
    facts = _facts(values)
    if key == "backbone":
        # The maps of a dense head come from the localiser's pyramid.
        dense = values["head"] == "dense" and "dense" in facts.heads
        return TASK_FACTS["localization"].backbones if dense else facts.backbones
    return {"type": facts.types, "head": facts.heads, "channels": facts.channels}.get(key)


def effective(values: Values) -> dict[str, Any]:
    """The values with the task's defaults in place of those that have no effect."""
    facts, known = _facts(values), RunConfig.file_fields()
    kept = dict(values)
    for key in _APPLIES:
        if not applies(key, values):
            choices = choices_of(key, values)
            default = facts.defaults.get(key, known[key].get_default())
            kept[key] = choices[0] if choices and default not in choices else default
    return kept


def _grouped(values: Values, *, wanted: bool) -> dict[str, tuple[FormField, ...]]:
    matters = {*_ALWAYS, *_MATTERS[values["task"]]}
    groups = {
        name: tuple(
            field
            for field in fields
            if (field.key in matters) is wanted and applies(field.key, values)
        )
        for name, fields in FIELDS.items()
    }
    return {name: fields for name, fields in groups.items() if fields}
