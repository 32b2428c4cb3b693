"""The model card of a slice network, written from its config and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from core.config import RunConfig, SlicePreparation
from core.constants import NETWORK_WINDOWS, NOT_FOR_CLINICAL_USE, SYNTHETIC_WARNING
from core.models.bundles import BundleConfig, BundleInfo

_LEVELS = {
    "presence": "Vertebra presence, v_ij (C1–C7 pooled)",
    "slice": "Fracture on a slice, p_i",
    "vertebra": "Fracture of a vertebra, p_j (C1–C7 pooled)",
    "patient": "Fracture of a patient, p",
}
_READS_AND_GIVES = {
    ("vertebra", 1): "one image to the presence of C1–C7",
    ("vertebra", 2): "one image, the slice's place in the series and its thickness to the presence "
    "of C1–C7",
    ("fracture", 1): "one image to one fracture probability of the slice",
    ("fracture", 2): "one image and the presence of C1–C7 to a fracture probability of each",
    ("fracture", 3): "one image to a fracture probability and the presence of each of C1–C7",
}


_FOCAL: Final = "weighted binary cross-entropy plus the focal loss of the map on the boxes"
_DENSE_LOSSES: Final = {
    1: f"Loss: {_FOCAL}.",
    2: f"The line map and its loss are those of Type 1: {_FOCAL}.",
    3: f"The line map and its loss are those of Type 1: {_FOCAL}. The vertebra head is trained on "
    "the same views by weighted binary cross-entropy.",
}


def slice_card(bundle: BundleInfo, metrics: Mapping[str, Any]) -> str:
    """As `TrainingTask.card`."""
    b, cohort = bundle.config, metrics["cohort"]
    # A bundle does not say where its data were.
    config = RunConfig(data_root=Path(), **b.trained_on["run"])
    how = b.preparation
    lines = [
        f"# {b.name}",
        "",
        f"> **{SYNTHETIC_WARNING}**",
        f"> {NOT_FOR_CLINICAL_USE}",
        "",
        f"{b.title}: {_READS_AND_GIVES[b.task, b.type]}{_maps(b)}. "
        f"Backbone {b.backbone}, {b.parameters:,} parameters, "
        f"{'ImageNet' if config.pretrained else 'random'} initialisation, weights stored in half "
        "precision.",
        "",
        "## Input",
        "",
        f"{_channels(how)}, {_field(how)}, resized to {how.size} × {how.size} pixels, 0–255.",
        *_presence(b),
        *_context(b),
        *_tracks(b),
        "",
        "## Data",
        "",
        f"- Started from {_start(b, cohort)}, then "
        f"trained on {cohort['folds']['studies']} others (seed {cohort['folds']['seed']})"
        f"{_left_out(config)}.",
        f"- Measured once on {cohort['held_out']['studies']} further synthetic studies (seed "
        f"{cohort['held_out']['seed']}); thresholds{_context_origin(b)} come from out-of-fold "
        "predictions.",
        "",
        "## Training",
        "",
        f"Adam{'W' if b.gives_maps else ''}, one cycle to {config.learning_rate:g} "
        f"(pct_start {config.pct_start}), batch {config.batch_size}, {_epochs(config)}"
        f"{', positives and negatives balanced' if config.balanced else ''}, "
        f"{'augmented' if config.augment else 'not augmented'}, {config.precision}, seed "
        f"{config.seed}. {_loss(b)}",
        "",
        f"Repeat it with `{_command(b)}`.",
        "",
        "## Held-out figures (synthetic)",
        "",
        f"Together with {metrics['partner']}. 95 % intervals resample patients.",
        "",
        "| question | AUC | F1 | recall | precision | threshold |",
        "|---|---|---|---|---|---|",
        *_rows(metrics["held_out"]),
        "",
        "## Limits",
        "",
        "- Not trained on patients. On scanner data its probabilities mean nothing until it is "
        "trained on such data; `core train` takes the RSNA 2022 set in the same layout.",
        "- A slice counts as fractured wherever a fractured vertebra is visible, also above and "
        f"below the fracture line; {_finder(b)} along the study finds those slices.",
        "",
    ]
    return "\n".join(lines)


def _maps(b: BundleConfig) -> str:
    return ", pooled from maps of the fracture line" if b.gives_maps else ""


def _field(how: SlicePreparation) -> str:
    if how.field_mm is not None:
        return f"a square of {how.field_mm:g} mm that follows the spine"
    return f"the central {how.crop:.0%} of the slice"


def _channels(how: SlicePreparation) -> str:
    window = f"HU window {how.window_center:g}/{how.window_width:g}"
    if how.channels == "neighbours":
        return f"An axial slice between the one above and the one below, {window}"
    if how.channels == "windows":
        shown = ", ".join(f"{center:g}/{width:g}" for center, width in NETWORK_WINDOWS.values())
        return f"One axial slice in three HU windows ({shown})"
    return f"One axial slice, {window}"


def _presence(b: BundleConfig) -> list[str]:
    if not b.takes_presence:
        return []
    source = b.vertebra_bundle or "a vertebra bundle"
    return [
        "",
        f"Presence of C1–C7 comes from {source}; in training from masks where there are any.",
    ]


def _context_origin(b: BundleConfig) -> str:
    if b.track_weights is not None:
        return " and the weights of the tracks"
    return "" if b.context is None else " and the weights of the context along a vertebra"


def _context(b: BundleConfig) -> list[str]:
    c = b.context
    if c is None:
        return []
    return [
        "",
        f"A slice's score is combined with its vertebra's: log odds {c.intercept:+.2f} "
        f"{c.local:+.2f} × those of the slice {c.vertebra:+.2f} × those of the mean of the "
        f"vertebra's {c.top_k} highest slices.",
    ]


def _tracks(b: BundleConfig) -> list[str]:
    w = b.track_weights
    if w is None:
        return []
    return [
        "",
        "A slice's score is combined with the tracks of lines along the study, each of which "
        f"belongs to the vertebra in view on most of its slices: log odds {w.intercept:+.2f} "
        f"{w.local:+.2f} × those of the slice {w.vertebra:+.2f} × those of the vertebra's tracks "
        f"(owner power {w.owner_power:g}, score power {w.score_power:g}).",
    ]


def _start(b: BundleConfig, cohort: Mapping[str, Any]) -> str:
    if b.gives_maps:
        return (
            f"the localiser {b.trained_on['init_from']}, trained on boxes of "
            f"{cohort['boxes']['studies']} synthetic studies (seed {cohort['boxes']['seed']})"
        )
    return (
        "a network trained to detect fracture lines on "
        f"{cohort['train']['studies']} synthetic studies (seed {cohort['train']['seed']})"
    )


def _command(b: BundleConfig) -> str:
    return f"make demo-models{' ARGS=--keep-vertebra' if b.gives_maps else ''}"


def _finder(b: BundleConfig) -> str:
    return "the tracks of lines" if b.gives_maps else "the context of the vertebra"


def _left_out(config: RunConfig) -> str:
    if not isinstance(config.fold, int):
        return ""
    return f" less validation fold {config.fold} of {config.folds} (fold seed {config.seed})"


def _epochs(config: RunConfig) -> str:
    if config.head == "dense":
        return f"{config.epochs} views of each boxed slice and as many of others, the trunk frozen"
    slices = f"at most {config.slices_per_study}" if config.slices_per_study else "all"
    plural = "epoch" if config.epochs == 1 else "epochs"
    return f"{config.epochs} {plural} of {slices} slices per study"


def _loss(b: BundleConfig) -> str:
    if b.gives_maps:
        return _DENSE_LOSSES[b.type]
    if (b.task, b.type) == ("fracture", 3):
        return f"Weighted binary cross-entropy, {b.alpha:g} × fracture + vertebra."
    return "Weighted binary cross-entropy."


def _rows(held_out: Mapping[str, Any]) -> list[str]:
    rows: list[str] = []
    for key, title in _LEVELS.items():
        level = held_out.get(key)
        if key == "presence" and level:
            level = level["pooled"]
        if not level:
            continue
        cells = [_figure(level, name) for name in ("auc", "f1", "recall", "precision")]
        rows.append(f"| {title} | {' | '.join(cells)} | {level['threshold']:.3f} |")
    return rows


def _figure(level: Mapping[str, Any], name: str) -> str:
    value, interval = level.get(name), level["intervals"].get(name)
    if value is None:
        return "–"
    return f"{value:.3f}" + (f" ({interval[0]:.3f}–{interval[1]:.3f})" if interval else "")
