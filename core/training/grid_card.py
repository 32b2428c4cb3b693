"""The model card of a segmenter, written from its config and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.constants import SYNTHETIC_WARNING
from core.models.bundles import BundleInfo


def grid_card(bundle: BundleInfo, metrics: Mapping[str, Any]) -> str:
    """As `TrainingTask.card`; `metrics` holds "measured": one entry per cohort."""
    how, config = bundle.config.preparation, bundle.config
    run = config.trained_on["run"]
    return (
        f"# {config.name}\n\n"
        "Labels voxels as background, C1 to C7 or another vertebra: a 3D U-Net with instance norm "
        f"on a grid of {how.voxel_mm:g} mm that follows the spine, {how.field_mm:g} mm wide, "
        f"{config.parameters:,} parameters. Grey levels cover the HU window "
        f"{how.window_center:g}/{how.window_width:g}, so that air and soft tissue look alike.\n\n"
        f"**{SYNTHETIC_WARNING}**\n\n"
        f"Trained on {config.trained_on['studies']} synthetic studies on one CPU core; the weights "
        f"are a moving average after epoch {config.trained_on['epoch']} of {run['epochs']}"
        f"{_stage_of(config.trained_on)}. "
        "Measured after decoding, with 95 % intervals by a bootstrap over studies:\n\n"
        f"{measures_table(metrics)}\n\n"
        f"{sources_text(metrics)}"
        "Made by `python -m core demo-segmenter`.\n"
    )


def _stage_of(trained_on: Mapping[str, Any]) -> str:
    """Says that the run began with another run's weights, as the end of a sentence; or ""."""
    return ", a run that went on from the weights of another" if trained_on["init_from"] else ""


def measures_table(metrics: Mapping[str, Any]) -> str:
    """Figures on fresh studies as Markdown, one row per cohort.

    Args:
        metrics: Content of a segmenter's `metrics.json`.
    """
    rows = [
        "| cohort (recipe, seed) | studies | Dice, series' voxels | Dice, grid | "
        "vertebrae at the right level | studies with every level right | presence AUC | "
        "seconds per 100 slices |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in metrics["measured"]:
        made = f"{one['cohort']} ({one.get('recipe', 'classic')}, {one['seed']})"
        figures = [
            f"{one[name]:.3f} ({one[name + '_interval'][0]:.3f}–{one[name + '_interval'][1]:.3f})"
            for name in ("dice", "grid_dice", "right_level", "all_right")
        ]
        auc, seconds = one["presence_auc"]["pooled"], one["seconds_per_100_slices"]
        cells = [made, str(one["studies"]), *figures, f"{auc:.3f}", f"{seconds:.1f}"]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def sources_text(metrics: Mapping[str, Any]) -> str:
    """Presence by a vertebra network and from the labels, as a sentence and a table; "" without.

    Args:
        metrics: As for `measures_table`.
    """
    if "sources" not in metrics:
        return ""
    whole = metrics["sources"]
    network, labels = whole["networks"]
    rows = [
        f"Presence v_ij on the same studies by {network} and from the labels of {labels}, and p_j "
        f"by the boxes of {whole['boxes']} whose owners come from each: AUC pooled over the "
        "studies, with the 95 % interval of the gain.",
        "",
        f"| cohort | presence, {network} | presence, labels | gain | fractured vertebrae, "
        f"{network} | fractured vertebrae, labels | gain |",
        "|---|---|---|---|---|---|---|",
    ]
    parts = [(one["cohort"], one["sources"]) for one in metrics["measured"]]
    for name, found in [*parts, ("all", whole)]:
        cells = [name]
        for what in ("presence", "vertebra"):
            before, after = found[f"{what}_auc"]
            low, high = found[f"{what}_gain"]
            cells += [f"{before:.3f}", f"{after:.3f}", f"{low:+.3f} to {high:+.3f}"]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n\n"
