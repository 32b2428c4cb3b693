"""The model card of a bundle, written from its config and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.config import RunConfig
from core.constants import NOT_FOR_CLINICAL_USE, SYNTHETIC_WARNING
from core.models.bundles import BundleInfo

_LEVELS = {
    "presence": "Vertebra presence, v_ij (C1–C7 pooled)",
    "slice": "Fracture on a slice, p_i",
    "vertebra": "Fracture of a vertebra, p_j (C1–C7 pooled)",
    "patient": "Fracture of a patient, p",
}


def render_card(bundle: BundleInfo, config: RunConfig, metrics: Mapping[str, Any]) -> str:
    """Markdown text of `MODEL_CARD.md`; every figure stands in `metrics`.

    Args:
        bundle: The bundle.
        config: The run that trained it.
        metrics: Content of its `metrics.json`.
    """
    b, cohort = bundle.config, metrics["cohort"]
    lines = [
        f"# {b.name}",
        "",
        f"> **{SYNTHETIC_WARNING}**",
        f"> {NOT_FOR_CLINICAL_USE}",
        "",
        f"{b.task.capitalize()} detection, Type {b.type}, backbone {b.backbone}, "
        f"{b.parameters:,} parameters, random initialisation, weights stored in half precision.",
        "",
        "## Input",
        "",
        f"One axial slice, HU window {b.window_center:g}/{b.window_width:g}, the central "
        f"{b.crop:.0%} of the slice, resized to {b.size} × {b.size} pixels, 0–255.",
        "",
        "## Data",
        "",
        f"- Trained on {cohort['train']['studies']} synthetic studies (seed "
        f"{cohort['train']['seed']}) less validation fold {config.fold} of {config.folds} "
        f"(fold seed {config.seed}).",
        f"- Measured once on {cohort['held_out']['studies']} other synthetic studies (seed "
        f"{cohort['held_out']['seed']}); thresholds come from the validation fold.",
        "",
        "## Training",
        "",
        f"Adam, one cycle to {config.learning_rate:g} (pct_start {config.pct_start}), batch "
        f"{config.batch_size}, {config.epochs} epochs of at most {config.slices_per_study} slices "
        f"a study{', positives and negatives balanced' if config.balanced else ''}, "
        f"{'augmented' if config.augment else 'not augmented'}, {config.precision}, seed "
        f"{config.seed}. Weighted binary cross-entropy.",
        "",
        "Repeat it with `make demo-models`.",
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
        "- Never saw a patient. On scanner data its probabilities mean nothing until it is trained "
        "there; `core train` takes the RSNA 2022 set in the same layout.",
        "- A slice counts as fractured wherever a fractured vertebra is visible, also above and "
        "below the fracture line, so part of the missed slices show no fracture at all.",
        "",
    ]
    return "\n".join(lines)


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
