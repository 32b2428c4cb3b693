"""Fields of the training form: every field of a run config, with explanation and bounds.

Kind, choices, bounds and default come from the config's declaration, so that a new field appears
on the page; only its words are written in `form_words`, or in the field's description.
"""

from __future__ import annotations

import math
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from core.config import PreparedConfig, RunConfig, SlicePreparation
from dashboard.training.form_words import WORDS

Kind = Literal["choice", "switch", "whole", "number", "text", "yaml", "data_root", "bundle"]
"""Kind of widget; "yaml" is a line of text that is parsed as YAML."""

AS_TASK: Final = "1e-3 for vertebrae and boxes, 1e-4 for fractures"
OTHER: Final = "More"
"""The group of all other fields."""

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "What to train": (
        "task", "type", "backbone", "head", "freeze_backbone", "pretrained", "init_from", "alpha",
        "fracture_target", "vertebra_bundle", "anchors_per_level",
    ),
    "Data": (
        "data_root", "annotations", "folds", "fold", "slices_per_study", "balanced", "negatives",
    ),
    "Input": (
        "size", "crop", "field_mm", "window_center", "window_width", "channels", "noise_reduction",
        "noise_threshold", "noise_clusters",
    ),
    "Augmentation": (
        "augment", "augment_rotation_deg", "augment_flip", "augment_brightness",
        "augment_contrast", "augment_saturation", "augment_hue_deg", "augment_shift",
        "augment_zoom",
    ),
    "Optimisation": (
        "epochs", "batch_size", "max_lr", "pct_start", "weight_decay", "gradient_clip",
        "keep_epoch",
    ),
    "Early stopping": (
        "early_stopping", "early_stopping_loss", "early_stopping_delta",
        "early_stopping_patience", "early_stopping_every",
    ),
    "Machine": (
        "precision", "device", "seed", "deterministic", "loader_workers", "checkpoint_every_s",
    ),
    "Training engine": (
        "optimizer", "backbone_lr_share", "ema_decay", "accumulate", "compile_network",
        "augment_on", "sync_batch_norm",
    ),
}  # fmt: skip
"""Keys of a run config by group, in the order of the page."""

_STEPS: Final = {
    "alpha": 0.5, "crop": 0.05, "window_center": 50.0, "window_width": 50.0, "max_lr": 1e-4,
    "pct_start": 0.05, "weight_decay": 1e-4, "gradient_clip": 0.5, "early_stopping_delta": 0.005,
    "backbone_lr_share": 0.1, "ema_decay": 0.001,
    "checkpoint_every_s": 10.0,
}  # fmt: skip
_EMPTY: Final = {"max_lr": "by task", "loader_workers": "by machine"}
"""What an empty number means."""
_KINDS: Final[dict[str, Kind]] = {
    "fold": "choice", "data_root": "data_root", "vertebra_bundle": "bundle", "init_from": "bundle",
}  # fmt: skip
START_SIZE: Final = 192
"""Input size of a new run, that of the shipped networks; 512 takes seven times as long."""
_DEFAULTS: Final = {
    "max_lr": AS_TASK, "loader_workers": "by machine", "data_root": "the data set in use",
    "size": f"{START_SIZE}, or {SlicePreparation().size} in a config file",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of the form.

    Attributes:
        key: Name in `RunConfig`.
        label: Label on the page, with its unit.
        help: One line on what it does; "" where there is none.
        kind: Kind of widget.
        default: Default as text; "" for a required field.
        choices: Choices of kind "choice"; empty where they depend on other fields.
        low: Smallest value of a "whole" or "number"; None for any.
        high: Largest value, likewise.
        step: Step of a "number".
        optional: Whether it may be empty.
        empty: What it means if it is empty, in a word or two; None if nothing special.
    """

    key: str
    label: str
    help: str
    kind: Kind
    default: str
    choices: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    step: float = 0.1
    optional: bool = False
    empty: str | None = None

    @property
    def explanation(self) -> str:
        """Explanation with the default and the range."""
        default = f" Default: {self.default}." if self.default else ""
        return f"{self.help}{default}{self._range}"

    @property
    def _range(self) -> str:
        if self.low is None or self.high is None:
            known = self.low if self.high is None else self.high
            words = "at least" if self.high is None else "at most"
            return "" if known is None else f" Range: {words} {_plain_number(known)}."
        return f" Range: {_plain_number(self.low)} to {_plain_number(self.high)}."


def _plain_number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def form_fields(model: type[PreparedConfig] = RunConfig) -> dict[str, tuple[FormField, ...]]:
    """Describe every field of a config, by group; fields without a group come last."""
    fields = model.file_fields()
    grouped = {group: tuple(key for key in keys if key in fields) for group, keys in GROUPS.items()}
    placed = {key for keys in grouped.values() for key in keys}
    others = tuple(key for key in fields if key not in placed)
    if others:
        grouped[OTHER] = others
    return {
        group: tuple(_field(key, fields[key]) for key in keys)
        for group, keys in grouped.items()
        if keys
    }


def _field(key: str, info: FieldInfo) -> FormField:
    plain, optional = _plain_type(info.annotation)
    label, explanation = WORDS.get(key, (key.replace("_", " ").capitalize(), ""))
    low, high = _bounds(info, whole=plain is int)
    return FormField(
        key=key,
        label=label,
        help=explanation or (info.description or ""),
        kind=_KINDS.get(key) or _kind(plain),
        default=_DEFAULTS.get(key) or _default_text(info),
        choices=() if key == "fold" else _choices(plain, optional=optional),
        low=low,
        high=high,
        step=_STEPS.get(key) or _step(info.default),
        optional=optional,
        empty=_EMPTY.get(key),
    )


def _plain_type(annotation: Any) -> tuple[Any, bool]:  # noqa: ANN401 - any annotation
    """A field's type without its None, and whether it had one."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation, False
    kinds = [part for part in get_args(annotation) if part is not type(None)]
    return (kinds[0] if len(kinds) == 1 else annotation), len(kinds) < len(get_args(annotation))


def _kind(plain: Any) -> Kind:  # noqa: ANN401 - any annotation
    if get_origin(plain) is Literal:
        return "choice"
    known: dict[Any, Kind] = {
        bool: "switch", int: "whole", float: "number", str: "text", Path: "text",
    }  # fmt: skip
    return known.get(plain, "yaml")


def _choices(plain: Any, *, optional: bool) -> tuple[Any, ...]:  # noqa: ANN401 - any annotation
    if get_origin(plain) is not Literal:
        return ()
    return (*get_args(plain), *((None,) if optional else ()))


def _bounds(info: FieldInfo, *, whole: bool) -> tuple[float | None, float | None]:
    """Declared bounds of a field; exclusive bounds are used for whole numbers only."""
    low: float | None = None
    high: float | None = None
    for rule in info.metadata:
        if isinstance(rule, annotated_types.Ge):
            low = float(str(rule.ge))
        elif isinstance(rule, annotated_types.Gt) and whole:
            low = float(str(rule.gt)) + 1
        elif isinstance(rule, annotated_types.Le):
            high = float(str(rule.le))
        elif isinstance(rule, annotated_types.Lt) and whole:
            high = float(str(rule.lt)) - 1
    return low, high


def _step(default: object) -> float:
    """A tenth of the default's order of magnitude."""
    if isinstance(default, bool) or not isinstance(default, int | float) or default == 0:
        return 0.1
    return 10.0 ** (math.floor(math.log10(abs(default))) - 1)


def _default_text(info: FieldInfo) -> str:
    if info.is_required():
        return ""
    value: object = info.get_default(call_default_factory=True)  # type: ignore[call-arg]
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value.name if isinstance(value, Path) else value)


FIELDS: Final = form_fields()
"""The fields of the form by group, in the order of the page."""
