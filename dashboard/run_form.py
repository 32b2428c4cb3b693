"""What the training form asks for: every field of a run config, explained, in groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import pandas as pd
from pydantic import ValidationError

from core.config import BackboneName, ChannelMode, RunConfig
from core.errors import ConfigError
from core.training.run_list import RunSummary, read_metrics
from core.training.schedule import Pace
from core.types import NoiseMethod

Kind = Literal["choice", "switch", "whole", "number", "text"]

ALL_FOLDS: Final = "all, one after another"
NO_FOLD: Final = "none, train on every study"
AS_TASK: Final = "1e-3 for vertebrae, 1e-4 for fractures"


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of the form.

    Attributes:
        key: Name in `RunConfig`.
        label: What it is called on the page, with its unit.
        help: One line on what it does.
        kind: Which widget asks for it.
        choices: For "choice".
        step: For "number": how far its arrows go.
    """

    key: str
    label: str
    help: str
    kind: Kind
    choices: tuple[Any, ...] = ()
    step: float = 0.1


FIELDS: Final[dict[str, tuple[FormField, ...]]] = {
    "What to learn": (
        FormField("task", "Task", "Which vertebrae a slice shows, or where it shows a fracture.",
                  "choice", ("vertebra", "fracture")),
        FormField("type", "Type", "1: image alone. 2: image and metadata or vertebra "
                  "probabilities. 3: fracture and vertebra together.", "choice", (1, 2, 3)),
        FormField("backbone", "Backbone", "The image network under the head.", "choice",
                  get_args(BackboneName)),
        FormField("pretrained", "ImageNet start", "torchvision's weights instead of random "
                  "ones; they must be downloadable or in torch's hub cache.", "switch"),
        FormField("alpha", "Alpha", "Type 3: weight of the fracture loss against the vertebra "
                  "loss.", "number", step=0.5),
        FormField("vertebra_bundle", "Vertebra bundle", "Folder of the bundle that says which "
                  "vertebrae a slice shows where a study has no mask.", "text"),
    ),
    "Data": (
        FormField("data_root", "Data root", "Folder in RSNA's layout.", "text"),
        FormField("folds", "Folds", "Groups of patients, equal in their share of fractures.",
                  "whole"),
        FormField("fold", "Held-out fold", "Measured on and never learnt from.", "choice"),
        FormField("slices_per_study", "Slices a study", "At most so many of a study in an epoch; "
                  "0 takes all.", "whole"),
        FormField("balanced", "Balance classes", "Draw as many positive as negative slices; the "
                  "bundle's probabilities are shifted back.", "switch"),
    ),
    "Input": (
        FormField("size", "Input size (px)", "Side of the square the network sees.", "whole"),
        FormField("crop", "Central crop", "Share of the slice kept before resizing.", "number",
                  step=0.05),
        FormField("window_center", "Window centre (HU)", "Middle of the HU window.", "number",
                  step=50.0),
        FormField("window_width", "Window width (HU)", "Extent of the HU window.", "number",
                  step=50.0),
        FormField("channels", "Channels", "One grey slice thrice, three HU windows, or the slice "
                  "with its two neighbours.", "choice", get_args(ChannelMode)),
        FormField("noise_reduction", "Noise reduction", "Black background by a threshold or by "
                  "Otsu's, or the means of K groups of grey; see Preprocessing.", "choice",
                  get_args(NoiseMethod)),
        FormField("noise_threshold", "Noise threshold", "Grey level, 1 to 255, below which a "
                  "pixel is background.", "whole"),
        FormField("noise_clusters", "Noise groups K", "Groups of K-means, 2 to 8.", "whole"),
    ),
    "Augmentation": (
        FormField("augment", "Augment", "Change every slice at random, each time it is drawn.",
                  "switch"),
        FormField("augment_rotation_deg", "Rotation up to (°)", "Either way about the centre.",
                  "number", step=1.0),
        FormField("augment_flip", "Flip probability", "How often left and right are exchanged.",
                  "number", step=0.1),
        FormField("augment_brightness", "Brightness up to", "Added or taken, as a share of white.",
                  "number", step=0.01),
        FormField("augment_contrast", "Contrast up to", "Logarithm of the factor about mid-grey.",
                  "number", step=0.05),
        FormField("augment_saturation", "Saturation up to", "Logarithm of the factor; nothing "
                  "where the channels are equal.", "number", step=0.05),
        FormField("augment_hue_deg", "Hue up to (°)", "Turn of the channels; nothing where they "
                  "are equal.", "number", step=1.0),
        FormField("augment_shift", "Shift up to", "As a share of the side, along either axis.",
                  "number", step=0.01),
        FormField("augment_zoom", "Zoom up to", "Logarithm of the factor, in or out.", "number",
                  step=0.05),
    ),
    "Optimisation": (
        FormField("epochs", "Epochs", "Times through the training slices.", "whole"),
        FormField("batch_size", "Batch size", "Slices a step.", "whole"),
        FormField("max_lr", "Peak learning rate", "Top of the one-cycle schedule; empty: "
                  f"{AS_TASK}.", "number", step=1e-4),
        FormField("pct_start", "Rising share", "Part of the steps in which the learning rate "
                  "rises.", "number", step=0.05),
        FormField("weight_decay", "Weight decay", "Pull of the weights to zero.", "number",
                  step=1e-4),
        FormField("gradient_clip", "Gradient limit", "Longest gradient that is followed; 0 is no "
                  "limit.", "number", step=0.5),
    ),
    "Early stopping": (
        FormField("early_stopping", "Stop early", "End the run once the loss no longer falls.",
                  "switch"),
        FormField("early_stopping_delta", "Least decrease", "A fall of the loss that counts.",
                  "number", step=0.005),
        FormField("early_stopping_patience", "Patience", "Looks without such a fall before the "
                  "run ends.", "whole"),
        FormField("early_stopping_every", "Look every (batches)", "Batches between looks.",
                  "whole"),
    ),
    "Machine": (
        FormField("precision", "Precision", "Mixed precision is about twice as fast where the "
                  "processor has bfloat16.", "choice", ("32-true", "bf16-mixed", "16-mixed")),
        FormField("device", "Device", "auto takes the fastest there is.", "choice",
                  ("auto", "cpu", "cuda", "mps")),
        FormField("seed", "Seed", "The same seed and data give the same model.", "whole"),
        FormField("deterministic", "Deterministic", "The same kernels each time, at some cost on "
                  "a GPU.", "switch"),
        FormField("loader_workers", "Loader workers", "Threads that make batches ahead; 0 makes "
                  "them in between.", "whole"),
        FormField("checkpoint_every_s", "Checkpoint every (s)", "The longest stretch of work that "
                  "a kill can lose.", "number", step=10.0),
    ),
}  # fmt: skip
"""By group, in the order of the page."""


def fold_choices(folds: int) -> tuple[int | str, ...]:
    """What can be held out: one of the folds, each in turn, or none."""
    return (*range(folds), ALL_FOLDS, NO_FOLD)


def form_values(config: RunConfig) -> dict[str, Any]:
    """A config as the form's widgets hold it."""
    values = dict(config.model_dump())
    if not isinstance(config.fold, int):
        values["fold"] = ALL_FOLDS if config.fold == "all" else NO_FOLD
    for key in ("data_root", "vertebra_bundle"):
        values[key] = "" if values[key] is None else str(values[key])
    return values


def config_from(values: Mapping[str, Any]) -> RunConfig:
    """Make a config from what the widgets hold.

    Raises:
        ConfigError: Values that are out of range or do not fit together; names the first.
    """
    given = dict(values)
    given["fold"] = {ALL_FOLDS: "all", NO_FOLD: None}.get(given["fold"], given["fold"])
    given["vertebra_bundle"] = given["vertebra_bundle"] or None
    if not given["data_root"]:
        raise ConfigError("Data root is empty; give a folder in RSNA's layout.")
    try:
        return RunConfig(**given)
    except ValidationError as error:
        first = error.errors()[0]
        where = label_of(str(first["loc"][0])) + ": " if first["loc"] else ""
        said = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{where}{said}; mend that value.") from error


def label_of(key: str) -> str:
    """The label of a config key."""
    named = (field.label for group in FIELDS.values() for field in group if field.key == key)
    return next(named, key)


def differences(runs: Sequence[RunSummary]) -> pd.DataFrame:
    """What tells runs apart: a row a config key that is not the same in all, a column a run."""
    configs = {run.run_id: form_values(run.config) for run in runs if run.config is not None}
    # As text, None included: it is a value here, which pandas would take for a missing one.
    table = pd.DataFrame(
        {run: {key: str(value) for key, value in values.items()} for run, values in configs.items()}
    )
    if table.empty:
        return table
    return table.loc[table.nunique(axis=1) > 1].rename(index=label_of)


def known_paces(runs: Iterable[RunSummary]) -> list[Pace]:
    """What earlier runs trained in images a second, the most recent first."""
    paces: list[Pace] = []
    for run in runs:
        if run.config is None:
            continue
        steps = read_metrics(run.folder, "step")
        if "images_per_second" in steps and len(steps):
            speed = float(steps["images_per_second"].iloc[-1])
            paces.append(Pace(run.config.backbone, run.config.size, run.config.precision, speed))
    return paces
