from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import ConfigError
from core.inference import onnx_networks
from core.inference.onnx_networks import onnx_network
from core.inference.predictor import Predictor
from core.models.bundles import BundleConfig, read_bundle
from core.models.checkpoint import save_bundle
from core.models.registry import build_model
from core.types import CTVolume

SIZE = 64


def _bundle(folder: Path, task: str):
    config = BundleConfig(
        name=task, task=task, type=1, backbone="mobilenet_v3_large", size=SIZE, crop=1.0,
        window_center=400.0, window_width=1800.0, weights_sha256="0" * 64, parameters=1,
        trained_on={}, created="2026-01-01T00:00:00Z",
    )  # fmt: skip
    torch.manual_seed(3)
    save_bundle(folder / task, build_model(task, 1, config.backbone), config)
    return read_bundle(folder / task)


@pytest.mark.slow
def test_a_prediction_is_that_of_torch_and_the_export_is_kept(tmp_path, monkeypatch):
    vertebra, fracture = _bundle(tmp_path, "vertebra"), _bundle(tmp_path, "fracture")
    rng = np.random.default_rng(0)
    volume = CTVolume(
        hu=rng.integers(-1000, 1800, (5, 80, 80), dtype=np.int16), spacing_mm=(1.0, 0.4, 0.4),
        affine=np.eye(4), z_mm=-np.arange(5.0), instance_numbers=tuple(range(5)), source_files=(),
        study_uid="made", series_uid="made",
    )  # fmt: skip
    expected = Predictor(vertebra, fracture, device="cpu", bfloat16=False).predict(volume)
    kept = tmp_path / "onnx"
    found = Predictor(
        vertebra, fracture, device="cpu", bfloat16=False, onnx_folder=kept, batch_size=2
    ).predict(volume)
    np.testing.assert_allclose(found.fracture_probs, expected.fracture_probs, atol=1e-4)
    np.testing.assert_array_equal(found.vertebra_probs, expected.vertebra_probs)
    (file,) = kept.iterdir()
    before = file.stat().st_mtime_ns
    onnx_network(fracture, kept, "cpu")
    assert file.stat().st_mtime_ns == before
    file.write_bytes(b"damaged")
    asked = []
    monkeypatch.setattr(onnx_networks, "export_onnx", lambda *given: asked.append(given))
    with pytest.raises(Exception, match="cannot be read as ONNX"):
        onnx_network(fracture, kept, "cpu")
    assert asked == [(fracture, file)]


def test_another_device_than_the_cpu_is_refused(tmp_path):
    bundle = _bundle(tmp_path, "fracture")
    with pytest.raises(ConfigError, match="on the CPU here, not on cuda"):
        onnx_network(bundle, tmp_path, "cuda")
