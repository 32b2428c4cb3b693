"""Seconds to segment a 100-slice study on the CPU, against the 10 seconds that it may take.

The series is a made volume of 100 slices of 512 x 512 pixels; finding the spine, the network, the
order of the vertebrae and the labels of every slice count, reading the files does not. Run with
`make bench ARGS=segment_study`. The shipped segmenter is used where there is one, else one with
random weights; the speed is alike.
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.timing import figure, medians
from core.config import Settings
from core.inference.segmentation import SegmentationPredictor
from core.models.bundles import BundleConfig, BundleInfo, list_bundles, read_bundle
from core.models.checkpoint import save_bundle
from core.models.pairs import find_segmenters
from core.models.segmenter import Segmenter
from core.types import CTVolume

SLICES = 100
LIMIT_S = 10.0


def made_volume() -> CTVolume:
    """A bright column in noise: the arithmetic does not depend on what is seen."""
    rng = np.random.default_rng(0)
    hu = rng.integers(-60, 140, (SLICES, 512, 512), dtype=np.int16)
    hu[:, 220:300, 220:292] += 500
    return CTVolume(
        hu=hu,
        spacing_mm=(2.0, 0.4, 0.4),
        affine=np.eye(4),
        z_mm=-2.0 * np.arange(SLICES, dtype=np.float64),
        instance_numbers=tuple(range(1, SLICES + 1)),
        source_files=(),
        study_uid="made",
        series_uid="made",
    )


def made_bundle(folder: Path) -> BundleInfo:
    """A segmenter with random weights."""
    config = BundleConfig.model_validate(
        {
            "name": "random",
            "task": "segmentation",
            "type": 1,
            "backbone": "unet3d",
            "size": 56,
            "field_mm": 112.0,
            "crop": 1.0,
            "window_center": 650.0,
            "window_width": 1200.0,
            "weights_sha256": "0" * 64,
            "parameters": 1,
            "trained_on": {},
            "created": datetime.now(UTC).isoformat(),
        }
    )
    save_bundle(folder, Segmenter(), config)
    return read_bundle(folder)


def main() -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        shipped = find_segmenters(list_bundles(Settings().checkpoints))
        bundle = shipped[0] if shipped else made_bundle(Path(folder))
        predictor = SegmentationPredictor(bundle, device="cpu")
    volume = made_volume()
    predictor.segment(volume)
    (taken,) = medians(lambda: predictor.segment(volume).volume_labels(), repeats=3)
    print(f"{bundle.config.name}: {taken:.2f} s for {SLICES} slices")
    print(json.dumps(figure("segment a study", f"{LIMIT_S:g} s", LIMIT_S / taken, 1.0)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
