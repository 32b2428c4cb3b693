"""What the training form asks for: every field of a run config, with its explanation and bounds.

Kind, choices, bounds and default come from the config's own declaration, so that a new field of it
stands on the page by itself; only its words are written here, or in the field's description.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from core.config import PreparedConfig, RunConfig

Kind = Literal["choice", "switch", "whole", "number", "text", "yaml", "data_root", "bundle"]
"""Which widget asks for a field; "yaml" is a line of text that is read as YAML."""

AS_TASK: Final = "1e-3 for vertebrae and boxes, 1e-4 for fractures"
OTHER: Final = "More"
"""The group of fields that stand in no other."""

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "What to learn": (
        "task", "type", "backbone", "pretrained", "init_from", "alpha",
        "fracture_target", "vertebra_bundle", "anchors_per_level",
    ),
    "Data": ("data_root", "folds", "fold", "slices_per_study", "balanced", "negatives"),
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
    ),
    "Early stopping": (
        "early_stopping", "early_stopping_delta", "early_stopping_patience",
        "early_stopping_every",
    ),
    "Machine": (
        "precision", "device", "seed", "deterministic", "loader_workers", "checkpoint_every_s",
    ),
}  # fmt: skip
"""Keys of a run config by group, in the order of the page."""

WORDS: Final[dict[str, tuple[str, str]]] = {
    "task": ("Task", "Which vertebrae a slice shows, whether a fracture, or a box around it."),
    "type": ("Type", "1: image alone. 2: image and metadata or vertebra probabilities. "
             "3: fracture and vertebra together."),
    "backbone": ("Backbone", "The image network under the head."),
    "pretrained": ("ImageNet start", "torchvision's weights instead of random ones; they must be "
                   "downloadable or in torch's hub cache."),
    "alpha": ("Alpha", "Type 3: weight of the fracture loss against the vertebra loss."),
    "init_from": ("Start from bundle", "A network whose weights this one starts from, wherever a "
                  "layer has the same name and shape."),
    "fracture_target": ("Fracture target", "A slice is positive where a fractured vertebra is in "
                        "view, or only where a box marks its line."),
    "vertebra_bundle": ("Vertebra bundle", "Says which vertebrae a slice shows where a study has "
                        "no mask."),
    "data_root": ("Data root", "Folder in RSNA's layout; another one can be typed in."),
    "folds": ("Folds", "Groups of patients, equal in their share of fractures."),
    "fold": ("Held-out fold", "Measured on and never learnt from."),
    "slices_per_study": ("Slices a study", "At most so many of a study in an epoch; 0 takes all."),
    "balanced": ("Balance classes", "Draw as many positive as negative slices; the bundle's "
                 "probabilities are shifted back."),
    "negatives": ("Negatives a box", "Localisation: slices without a fracture for each with one."),
    "anchors_per_level": ("Anchors a level", "Localisation: shapes of boxes that each level of the "
                          "pyramid starts from."),
    "size": ("Input size (px)", "Side of the square the network sees."),
    "crop": ("Central crop", "Share of the slice kept before resizing."),
    "field_mm": ("Spine field (mm)", "Side of a square that follows the spine, in place of the "
                 "central crop."),
    "window_center": ("Window centre (HU)", "Middle of the HU window."),
    "window_width": ("Window width (HU)", "Extent of the HU window."),
    "channels": ("Channels", "One grey slice thrice, three HU windows, or the slice with its two "
                 "neighbours."),
    "noise_reduction": ("Noise reduction", "Black background by a threshold or by Otsu's, or the "
                        "means of K groups of grey; see Preprocessing."),
    "noise_threshold": ("Noise threshold", "Grey level, 1 to 255, below which a pixel is "
                        "background."),
    "noise_clusters": ("Noise groups K", "Groups of K-means, 2 to 8."),
    "augment": ("Augment", "Change every slice at random, each time it is drawn."),
    "augment_rotation_deg": ("Rotation up to (°)", "Either way about the centre."),
    "augment_flip": ("Flip probability", "How often left and right are exchanged."),
    "augment_brightness": ("Brightness up to", "Added or taken, as a share of white."),
    "augment_contrast": ("Contrast up to", "Logarithm of the factor about mid-grey."),
    "augment_saturation": ("Saturation up to", "Logarithm of the factor; nothing where the "
                           "channels are equal."),
    "augment_hue_deg": ("Hue up to (°)", "Turn of the channels; nothing where they are equal."),
    "augment_shift": ("Shift up to", "As a share of the side, along either axis."),
    "augment_zoom": ("Zoom up to", "Logarithm of the factor, in or out."),
    "epochs": ("Epochs", "Times through the training slices."),
    "batch_size": ("Batch size", "Slices a step."),
    "max_lr": ("Peak learning rate", "Top of the one-cycle schedule."),
    "pct_start": ("Rising share", "Part of the steps in which the learning rate rises."),
    "weight_decay": ("Weight decay", "Pull of the weights to zero."),
    "gradient_clip": ("Gradient limit", "Longest gradient that is followed; 0 is no limit."),
    "early_stopping": ("Stop early", "End the run once the loss no longer falls."),
    "early_stopping_delta": ("Least decrease", "A fall of the loss that counts."),
    "early_stopping_patience": ("Patience", "Looks without such a fall before the run ends."),
    "early_stopping_every": ("Look every (batches)", "Batches between looks."),
    "precision": ("Precision", "Mixed precision is about twice as fast where the processor has "
                  "bfloat16."),
    "device": ("Device", "auto takes the fastest there is."),
    "seed": ("Seed", "The same seed and data give the same model."),
    "deterministic": ("Deterministic", "The same kernels each time, at some cost on a GPU."),
    "loader_workers": ("Loader workers", "Threads that make batches ahead; 0 makes them in "
                       "between."),
    "checkpoint_every_s": ("Checkpoint every (s)", "The longest stretch of work that a kill can "
                           "lose."),
}  # fmt: skip
"""Label and one-line explanation by key; a field without falls back on its own description."""

_STEPS: Final = {
    "alpha": 0.5, "crop": 0.05, "window_center": 50.0, "window_width": 50.0, "max_lr": 1e-4,
    "pct_start": 0.05, "weight_decay": 1e-4, "gradient_clip": 0.5, "early_stopping_delta": 0.005,
    "checkpoint_every_s": 10.0,
}  # fmt: skip
_KINDS: Final[dict[str, Kind]] = {
    "fold": "choice", "data_root": "data_root", "vertebra_bundle": "bundle", "init_from": "bundle",
}  # fmt: skip
_DEFAULTS: Final = {"max_lr": AS_TASK, "data_root": "the data set in use"}


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of the form.

    Attributes:
        key: Name in `RunConfig`.
        label: What it is called on the page, with its unit.
        help: One line on what it does; "" where nobody wrote one.
        kind: How it is asked for.
        default: The value of a run that does not set it, as text; "" where every run must.
        choices: For "choice"; empty where they depend on other fields.
        low: Smallest value of a "whole" or "number" that its arrows reach; None for any.
        high: Largest, likewise.
        step: For "number": how far its arrows go.
        optional: Whether it may be left empty.
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

    @property
    def explanation(self) -> str:
        """What it does, and its default."""
        return self.help + (f" Default: {self.default}." if self.default else "")


def form_fields(
    model: type[PreparedConfig] = RunConfig,
    groups: Mapping[str, tuple[str, ...]] = GROUPS,
    words: Mapping[str, tuple[str, str]] = WORDS,
) -> dict[str, tuple[FormField, ...]]:
    """Describe every field of a config, by group; those of no group come last."""
    fields = model.file_fields()
    grouped = {group: tuple(key for key in keys if key in fields) for group, keys in groups.items()}
    placed = {key for keys in grouped.values() for key in keys}
    others = tuple(key for key in fields if key not in placed)
    if others:
        grouped[OTHER] = others
    return {
        group: tuple(_field(key, fields[key], words) for key in keys)
        for group, keys in grouped.items()
        if keys
    }


def _field(key: str, info: FieldInfo, words: Mapping[str, tuple[str, str]]) -> FormField:
    plain, optional = _plain_type(info.annotation)
    label, explanation = words.get(key, (key.replace("_", " ").capitalize(), ""))
    low, high = _bounds(info, whole=plain is int)
    return FormField(
        key=key,
        label=label,
        help=explanation or (info.description or ""),
        kind=_KINDS.get(key) or _kind(plain),
        default=_DEFAULTS.get(key) or _said(info),
        choices=() if key == "fold" else _choices(plain, optional=optional),
        low=low,
        high=high,
        step=_STEPS.get(key) or _step(info.default),
        optional=optional,
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
    """The bounds that the field declares; one that is excluded only counts for whole numbers."""
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
    """A tenth of the default's own order of magnitude."""
    if isinstance(default, bool) or not isinstance(default, int | float) or default == 0:
        return 0.1
    return 10.0 ** (math.floor(math.log10(abs(default))) - 1)


def _said(info: FieldInfo) -> str:
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
