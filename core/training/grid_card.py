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
    rows = [
        "| measured on | studies | mean Dice C1–C7 | vertebrae at the right level | "
        "studies with all levels right |",
        "|---|---|---|---|---|",
    ]
    for one in metrics["measured"]:
        cells = [one["cohort"], str(one["studies"])]
        cells += [
            f"{one[name]:.3f} ({one[name + '_interval'][0]:.3f}–{one[name + '_interval'][1]:.3f})"
            for name in ("dice", "right_level", "all_right")
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return (
        f"# {config.name}\n\n"
        "Labels voxels as background, C1 to C7 or another vertebra: a 3D U-Net with instance norm "
        f"on a grid of {how.voxel_mm:g} mm that follows the spine, {how.field_mm:g} mm wide, "
        f"{config.parameters:,} parameters. Grey levels cover the HU window "
        f"{how.window_center:g}/{how.window_width:g}, so that air and soft tissue look alike.\n\n"
        f"**{SYNTHETIC_WARNING}**\n\n"
        f"Trained on {config.trained_on['studies']} synthetic studies for {run['epochs']} epochs "
        f"({config.trained_on['steps']} steps), on one CPU core. Measured after decoding, with "
        "95 % intervals by a bootstrap over studies:\n\n" + "\n".join(rows) + "\n\n"
        "Made by `python -m core demo-segmenter`.\n"
    )
