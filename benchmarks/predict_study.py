"""Probabilities for a 300-slice study on the CPU: `Predictor` against a batch-1 float32 loop.

The peer runs the same weights in float32 slice by slice, each slice prepared once for each network,
as a first script would. Run with `make bench ARGS=predict_study`. The shipped default pair is used
where there is one, else networks of the same kind with random weights; the speed is alike. With a
labelled data root (`--data`, else the demo cohort where it is there) both also read its first
studies, and the areas under their ROC curves are compared: the speed counts only where they agree
within 0.002.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from core.config import Settings
from core.dataset.rsna import read_studies
from core.dicom.series import read_series
from core.errors import BundleError
from core.evaluation.report import evaluate_predictions
from core.evaluation.tables.truth import truth_from_data_root
from core.inference.context import in_context
from core.inference.predictor import Predictor
from core.models.bundles import BundleConfig, BundleInfo, read_bundle
from core.models.checkpoint import load_model, save_bundle
from core.models.pairs import BundlePair, default_bundle
from core.models.registry import build_model
from core.preprocessing.metadata import slice_metadata
from core.preprocessing.network_input import batch_for_network
from core.preprocessing.spine_field import spine_field_of
from core.types import CTVolume, SlicePredictions

TARGET_RATIO = 3.0
AUC_LIMIT = 0.002


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


def chosen_pair(folder: Path, size: int | None) -> BundlePair:
    """The shipped vertebra and fracture network, or made ones; `size` always makes them."""
    if size is None:
        try:
            shipped = Settings().checkpoints
            return BundlePair(
                default_bundle(shipped, "vertebra"), default_bundle(shipped, "fracture")
            )
        except BundleError:
            size = 256
    return BundlePair(made_bundle(folder, "vertebra", size), made_bundle(folder, "fracture", size))


class SliceBySlice:
    """The peer: each network over one slice at a time, in float32."""

    def __init__(self, pair: BundlePair) -> None:
        self._pair = pair
        self._models = [
            load_model(bundle, "cpu").to(memory_format=torch.contiguous_format)
            for bundle in pair.bundles
        ]

    def predict(self, volume: CTVolume) -> SlicePredictions:
        """Probabilities as `Predictor.predict` gives them."""
        vertebra = self._outputs(0, volume, None)[:, -7:]
        fracture = np.broadcast_to(self._outputs(1, volume, vertebra)[:, :7], vertebra.shape).copy()
        config = self._pair.fracture.config
        if config.context is not None:
            fracture = in_context(fracture, vertebra, config.context, shared=config.type == 1)
        return SlicePredictions(
            study_id=volume.study_uid,
            z_mm=volume.z_mm,
            vertebra_probs=vertebra,
            fracture_probs=fracture,
            fracture_type=self._pair.fracture.config.type,
        )

    def _outputs(
        self, which: int, volume: CTVolume, presence: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """Outputs of one network, float32 (n_slices, outputs)."""
        model, config = self._models[which], self._pair.bundles[which].config
        metadata = torch.from_numpy(slice_metadata(volume.z_mm, volume.slice_thickness_mm))
        rows: list[NDArray[np.float32]] = []
        field = spine_field_of(volume, config.preparation.field_mm)
        for index in range(volume.n_slices):
            one = slice(index, index + 1)
            image = batch_for_network(volume.hu, one, config.preparation, field)
            v = None if presence is None else torch.from_numpy(presence[index : index + 1])
            with torch.no_grad():
                logits = model(torch.from_numpy(image), metadata[index : index + 1], v)
            rows.append(torch.sigmoid(logits).numpy())
        return np.concatenate(rows)


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


def largest_difference(one: SlicePredictions, other: SlicePredictions) -> float:
    """Largest absolute difference of any probability."""
    return max(
        float(np.abs(one.vertebra_probs - other.vertebra_probs).max()),
        float(np.abs(one.fracture_probs - other.fracture_probs).max()),
    )


def auc_changes(
    predictor: Predictor, peer: SliceBySlice, root: Path, limit: int
) -> dict[str, float]:
    """AUC of the program less that of the peer, by level, over the first studies of a data root."""
    records = read_studies(root)[:limit]
    volumes = [read_series(record.folder) for record in records]
    truth = truth_from_data_root(root, {record.study_id for record in records})
    reports = [
        evaluate_predictions([reader.predict(volume) for volume in volumes], truth, replicates=1)
        for reader in (predictor, peer)
    ]
    changes: dict[str, float] = {}
    for level in ("presence", "slice", "vertebra", "patient"):
        ours, theirs = (getattr(report, level) for report in reports)
        if ours is not None and ours.metrics.auc is not None and theirs.metrics.auc is not None:
            changes[level] = ours.metrics.auc - theirs.metrics.auc
    return changes


def main() -> int:
    """Measure both, print both, end with one JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--size", type=int, help="network input in pixels, with random weights")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--float32", action="store_true", help="run the program in float32")
    parser.add_argument("--data", type=Path, help="labelled data root; the demo cohort if absent")
    parser.add_argument("--studies", type=int, default=8, help="studies read for the AUCs")
    arguments = parser.parse_args()
    volume = made_volume(arguments.slices)
    with tempfile.TemporaryDirectory() as folder:
        pair = chosen_pair(Path(folder), arguments.size)
        predictor = Predictor(
            *pair[:2],
            device="cpu",
            batch_size=arguments.batch_size,
            bfloat16=False if arguments.float32 else None,
        )
        peer = SliceBySlice(pair)
    ours, theirs, difference = measured(predictor, peer, volume, arguments.rounds)
    for bundle in pair.bundles:
        config = bundle.config
        print(f"{config.task}: {config.name}, {config.backbone}, {config.preparation.size} px")
    print(
        f"{arguments.slices} slices on {torch.get_num_threads()} threads: {ours:.2f} s, "
        f"{theirs:.2f} s slice by slice, {theirs / ours:.2f} times as fast; "
        f"largest difference of a probability {difference:.1e}"
    )
    figure: dict[str, Any] = {
        "name": f"predict {arguments.slices} slices",
        "peer": "batch-1 float32 loop, same weights",
        "ratio": theirs / ours,
        "target": TARGET_RATIO,
        "seconds": ours,
        "peer_seconds": theirs,
    }
    root = arguments.data or Settings().demo_root
    if root.is_dir() and arguments.size is None:
        figure["auc_change"] = auc_changes(predictor, peer, root, arguments.studies)
        for level, change in figure["auc_change"].items():
            verdict = "within" if abs(change) <= AUC_LIMIT else "BEYOND"
            print(f"AUC of {level}: change {change:+.5f}, {verdict} {AUC_LIMIT}")
    print(json.dumps(figure))
    return int(any(abs(change) > AUC_LIMIT for change in figure.get("auc_change", {}).values()))


if __name__ == "__main__":
    sys.exit(main())
