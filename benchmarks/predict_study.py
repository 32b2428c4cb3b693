"""Probabilities for a 100-slice study on the CPU: `Predictor` against a batch-1 float32 loop.

The peer runs the same weights slice by slice, each slice prepared once for each network, as a
first script would. Run with `make bench ARGS=predict_study`. The shipped bundles are used where
there is one of each task, else networks of the same kind with random weights; the speed is alike.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from core.config import Settings
from core.inference.predictor import Predictor
from core.models.bundles import BundleConfig, BundleInfo, list_bundles, read_bundle
from core.models.checkpoint import load_model, save_bundle
from core.models.registry import build_model
from core.preprocessing.network_input import slices_for_network
from core.types import CTVolume, SlicePredictions

TARGET_RATIO = 3.0


def made_volume(n_slices: int) -> CTVolume:
    """A 512 x 512 volume of noise: the arithmetic does not depend on what is seen."""
    rng = np.random.default_rng(0)
    hu = rng.integers(-1000, 1800, (n_slices, 512, 512), dtype=np.int16)
    return CTVolume(
        hu=hu,
        spacing_mm=(1.0, 0.4, 0.4),
        affine=np.eye(4),
        z_mm=-np.arange(n_slices, dtype=np.float64),
        instance_numbers=tuple(range(1, n_slices + 1)),
        source_files=(),
        study_uid="made",
        series_uid="made",
    )


def made_bundle(folder: Path, task: str, size: int) -> BundleInfo:
    """A bundle with random weights."""
    config = {
        "name": f"{task}-random",
        "task": task,
        "type": 1,
        "backbone": "mobilenet_v3_large",
        "size": size,
        "crop": 1.0,
        "window_center": 400.0,
        "window_width": 1800.0,
        "weights_sha256": "0" * 64,
        "parameters": 1,
        "trained_on": {},
        "created": datetime.now(UTC).isoformat(),
    }
    torch.manual_seed(0)
    model = build_model(task, 1, "mobilenet_v3_large")
    _settle_batch_norm(model, size)
    save_bundle(folder / task, model, BundleConfig.model_validate(config))
    return read_bundle(folder / task)


def _settle_batch_norm(model: nn.Module, size: int) -> None:
    """Average the statistics of a few batches.

    Untrained, they let activations shrink to denormal numbers, which are many times slower.
    """
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        for _ in range(4):
            model(torch.randint(0, 256, (8, size, size), dtype=torch.uint8))


def chosen_bundles(folder: Path, size: int | None) -> tuple[BundleInfo, BundleInfo]:
    """The first shipped Type 1 bundle of each task, or made ones; `size` always makes them."""
    shipped = [] if size else list_bundles(Settings().checkpoints)
    by_task = {info.config.task: info for info in reversed(shipped) if info.config.type == 1}
    if {"vertebra", "fracture"} <= set(by_task):
        return by_task["vertebra"], by_task["fracture"]
    side = size or 256
    return made_bundle(folder, "vertebra", side), made_bundle(folder, "fracture", side)


class SliceBySlice:
    """The peer: each network over one slice at a time."""

    def __init__(self, bundles: tuple[BundleInfo, BundleInfo]) -> None:
        self._bundles = bundles
        self._models = [
            load_model(bundle, "cpu").to(memory_format=torch.contiguous_format)
            for bundle in bundles
        ]

    def predict(self, volume: CTVolume) -> list[NDArray[np.float32]]:
        """Probabilities of each network, float32 (n_slices, outputs)."""
        found: list[NDArray[np.float32]] = []
        for bundle, model in zip(self._bundles, self._models, strict=True):
            config = bundle.config
            rows: list[NDArray[np.float32]] = []
            for index in range(volume.n_slices):
                image = slices_for_network(
                    volume.hu[index : index + 1],
                    window=config.window,
                    crop=config.crop,
                    size=config.size,
                )
                with torch.no_grad():
                    rows.append(torch.sigmoid(model(torch.from_numpy(image))).numpy())
            found.append(np.concatenate(rows))
        return found


def measured(
    predictor: Predictor, peer: SliceBySlice, volume: CTVolume, rounds: int
) -> tuple[float, float, float]:
    """Seconds of the program and of the peer, and the largest difference of a probability.

    Both take turns, and the least disturbed turn of each counts.
    """
    warm_up = made_volume(2)
    predictor.predict(warm_up)
    peer.predict(warm_up)
    ours, theirs, difference = [], [], 0.0
    for _ in range(rounds):
        started = time.perf_counter()
        predictions = predictor.predict(volume)
        between = time.perf_counter()
        expected = peer.predict(volume)
        theirs.append(time.perf_counter() - between)
        ours.append(between - started)
        difference = max(difference, largest_difference(predictions, expected))
    return min(ours), min(theirs), difference


def largest_difference(predictions: SlicePredictions, peer: list[NDArray[np.float32]]) -> float:
    """Largest absolute difference of any probability."""
    return max(
        float(np.abs(predictions.vertebra_probs - peer[0]).max()),
        float(np.abs(predictions.fracture_probs[:, :1] - peer[1]).max()),
    )


def main() -> int:
    """Measure both, print both, end with one JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--slices", type=int, default=100)
    parser.add_argument("--size", type=int, help="network input in pixels, with random weights")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--bfloat16", action="store_true", help="run the program in bfloat16")
    arguments = parser.parse_args()
    volume = made_volume(arguments.slices)
    with tempfile.TemporaryDirectory() as folder:
        bundles = chosen_bundles(Path(folder), arguments.size)
        predictor = Predictor(*bundles, device="cpu", bfloat16=arguments.bfloat16)
        peer = SliceBySlice(bundles)
    ours, theirs, difference = measured(predictor, peer, volume, arguments.rounds)
    for bundle in bundles:
        config = bundle.config
        print(f"{config.task}: {config.name}, {config.backbone}, {config.size} px")
    print(
        f"{arguments.slices} slices on {torch.get_num_threads()} threads: {ours:.2f} s batched, "
        f"{theirs:.2f} s slice by slice, {theirs / ours:.2f} times as fast; "
        f"largest difference of a probability {difference:.1e}"
    )
    figure = {
        "name": f"predict {arguments.slices} slices",
        "peer": "batch-1 float32 loop, same weights",
        "ratio": theirs / ours,
        "target": TARGET_RATIO,
        "seconds": ours,
        "peer_seconds": theirs,
    }
    print(json.dumps(figure))
    return 0


if __name__ == "__main__":
    sys.exit(main())
