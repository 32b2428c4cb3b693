"""The model card of a localiser, written from its config and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.constants import SYNTHETIC_WARNING
from core.models.bundles import BundleInfo


def stages_before(bundle: BundleInfo) -> str:
    """A localiser's training before its last stage, as the end of a sentence; or ""."""
    stages = bundle.config.trained_on.get("earlier_stages", [])
    described = [f"{stage['epochs']} epochs on {stage['studies']} studies" for stage in stages]
    return f" after {' and '.join(described)}" if described else ""


def box_card(bundle: BundleInfo, metrics: Mapping[str, Any]) -> str:
    """As `TrainingTask.card`; `metrics` also holds "chosen_on": "studies" and "rule"."""
    how, run = bundle.config.preparation, bundle.config.trained_on["run"]
    held, chosen_on = metrics["held_out"], metrics["chosen_on"]
    low, high = held["mean_iou_best_scored_interval"] or (float("nan"), float("nan"))
    return (
        f"# {bundle.config.name}\n\n"
        "Localises fractures on slices by boxes with scores. Faster R-CNN with a feature "
        f"pyramid from stride 4 on {bundle.config.backbone}, over a square of "
        f"{how.field_mm:g} mm that follows the spine, {how.size} pixels wide, "
        f"channels: {how.channels}.\n\n"
        f"**{SYNTHETIC_WARNING}**\n\n"
        f"Trained on {bundle.config.trained_on['studies']} synthetic studies with "
        f"{bundle.config.trained_on['boxes']} boxes for {run['epochs']} epochs"
        f"{stages_before(bundle)}, on one CPU core. "
        f"Measured on {metrics['measured_on']['studies']} others "
        f"({metrics['measured_on']['boxes']} boxes):\n\n"
        "| figure | value |\n|---|---|\n"
        f"| mean IoU of the best-scored box | {held['mean_iou_best_scored']:.3f} "
        f"({low:.3f}–{high:.3f}) |\n"
        f"| centre of that box inside the true one | {held['hit_rate']:.3f} |\n"
        f"| true boxes found at one false box per study | "
        f"{held['box_sensitivity_at_1_false_box_a_study']:.3f} |\n"
        f"| fractures found at one false track per study | "
        f"{held['fracture_sensitivity_at_1_false_track_a_study']:.3f} |\n\n"
        f"The score threshold is {metrics['threshold']:g}, chosen on "
        f"{chosen_on['studies']} other studies for {chosen_on['rule']}. "
        "Made by `python -m core demo-localizer`.\n"
    )
