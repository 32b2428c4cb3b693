"""A segmenter of random weights."""

from pathlib import Path

import torch

from core.models.bundles import BundleConfig
from core.models.checkpoint import save_bundle
from core.models.segmenter import Segmenter


def write_untrained_segmenter(folder: Path) -> None:
    """Fill a checkpoints folder with one that labels some voxels of noise as vertebrae."""
    torch.manual_seed(0)
    config = BundleConfig(
        name="segmentation-untrained", task="segmentation", type=1, backbone="unet3d", size=32,
        crop=1.0, field_mm=96.0, window_center=650, window_width=1200, weights_sha256="0" * 64,
        parameters=1, trained_on={}, created="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    model = Segmenter()
    # Otherwise no voxel is likelier to be bone than not.
    with torch.no_grad():
        model.head.weight.mul_(20)
    save_bundle(folder / config.name, model, config)
