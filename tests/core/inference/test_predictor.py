from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from core.errors import BundleError, DeviceError, PredictionsError
from core.inference import predictor as module
from core.inference.predictor import Predictor
from core.models.bundles import BundleConfig, BundleInfo, read_bundle
from core.models.checkpoint import save_bundle
from core.models.registry import build_model
from core.types import CTVolume


def config(task: str, **changes) -> BundleConfig:
    values = {
        "name": f"{task}-tiny",
        "task": task,
        "type": 1,
        "backbone": "mobilenet_v3_large",
        "size": 32,
        "crop": 1.0,
        "window_center": 400.0,
        "window_width": 1800.0,
        "weights_sha256": "0" * 64,
        "parameters": 1,
        "trained_on": {"studies": 0},
        "created": "2025-01-01T00:00:00Z",
    }
    return BundleConfig.model_validate(values | changes)


def info(task: str, **changes) -> BundleInfo:
    return BundleInfo(Path("nowhere"), config(task, **changes))


def volume(n_slices: int, side: int = 40, seed: int = 0) -> CTVolume:
    rng = np.random.default_rng(seed)
    hu = rng.integers(-1000, 1800, (n_slices, side, side), dtype=np.int16)
    hu.setflags(write=False)
    return CTVolume(
        hu=hu,
        spacing_mm=(2.0, 0.5, 0.5),
        affine=np.eye(4),
        z_mm=-2.0 * np.arange(n_slices),
        instance_numbers=tuple(range(1, n_slices + 1)),
        source_files=tuple(Path(f"{k}.dcm") for k in range(n_slices)),
        study_uid="1.2.3",
        series_uid="1.2.3.4",
    )


class MeanGrey(nn.Module):
    """Logits known in advance: column j is mean grey / 255 + j."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.batches: list[torch.Tensor] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.batches.append(images)
        grey = images.float().mean(dim=(1, 2)) / 255
        return grey[:, None] + torch.arange(self.outputs)


class OneOdd(nn.Module):
    """Zero logits but for the last one of a batch."""

    def __init__(self, last: float, outputs: int) -> None:
        super().__init__()
        self.last, self.outputs = last, outputs

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(len(images), self.outputs)
        logits[-1, -1] = self.last
        return logits


@pytest.fixture
def networks(monkeypatch):
    """Replace what a bundle loads; returns the stand-ins by task."""
    stand_ins: dict[str, nn.Module] = {"vertebra": MeanGrey(7), "fracture": MeanGrey(1)}
    monkeypatch.setattr(module, "load_model", lambda bundle, _device: stand_ins[bundle.config.task])
    return stand_ins


def sigmoid(values):
    return 1 / (1 + np.exp(-np.asarray(values, dtype=np.float64)))


def test_probabilities_are_sigmoids_and_type_1_repeats_its_value(networks):
    series = volume(5)
    found = Predictor(info("vertebra"), info("fracture"), device="cpu").predict(series)

    grey = networks["vertebra"].batches[0].float().mean(dim=(1, 2)).numpy() / 255
    assert found.vertebra_probs == pytest.approx(sigmoid(grey[:, None] + np.arange(7)), abs=1e-6)
    assert found.fracture_probs == pytest.approx(np.repeat(sigmoid(grey)[:, None], 7, 1), abs=1e-6)
    assert found.vertebra_probs.dtype == found.fracture_probs.dtype == np.float32
    assert found.study_id == "1.2.3"
    assert found.instance_numbers == series.instance_numbers
    assert found.z_mm.tolist() == series.z_mm.tolist()
    assert found.models == ("vertebra-tiny", "fracture-tiny")
    assert found.fracture_type == 1


def test_the_last_batch_may_be_short_and_progress_reaches_the_total(networks):
    seen = []
    found = Predictor(info("vertebra"), info("fracture"), device="cpu", batch_size=4).predict(
        volume(10), progress=lambda done, total: seen.append((done, total))
    )

    assert [len(batch) for batch in networks["fracture"].batches] == [4, 4, 2]
    assert seen == [(4, 10), (8, 10), (10, 10)]
    assert found.n_slices == 10


def test_slices_are_prepared_once_where_both_networks_see_the_same(networks, monkeypatch):
    calls = []
    real = module.slices_for_network
    monkeypatch.setattr(
        module, "slices_for_network", lambda hu, **how: calls.append(how) or real(hu, **how)
    )
    Predictor(info("vertebra"), info("fracture"), device="cpu").predict(volume(3))
    assert len(calls) == 1
    assert networks["vertebra"].batches[0] is networks["fracture"].batches[0]

    calls.clear()
    different = info("fracture", size=48, crop=0.5, window_center=40.0, window_width=400.0)
    Predictor(info("vertebra"), different, device="cpu").predict(volume(3))
    assert [call["size"] for call in calls] == [32, 48]
    assert networks["fracture"].batches[-1].shape == (3, 48, 48)
    assert networks["fracture"].batches[-1].dtype == torch.uint8


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_non_finite_output_names_the_bundle(networks, value):
    networks["fracture"] = OneOdd(value, 1)
    predictor = Predictor(info("vertebra"), info("fracture"), device="cpu")

    with pytest.raises(BundleError, match="fracture-tiny gives NaN or infinite"):
        predictor.predict(volume(2))


def test_a_wrong_number_of_outputs_names_the_bundle(networks):
    networks["vertebra"] = OneOdd(0.0, 6)
    predictor = Predictor(info("vertebra"), info("fracture"), device="cpu")

    with pytest.raises(BundleError, match=r"vertebra-tiny gives outputs of shape \(2, 6\)"):
        predictor.predict(volume(2))


def test_a_full_device_says_to_lower_the_batch_size(networks, monkeypatch):
    def full(_images):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(networks["vertebra"], "forward", full)
    predictor = Predictor(info("vertebra"), info("fracture"), device="cpu")

    with pytest.raises(DeviceError, match="lower the batch size"):
        predictor.predict(volume(2))


def test_bundles_of_the_wrong_task_or_of_a_later_type_are_refused(networks):
    with pytest.raises(BundleError, match="a vertebra bundle is needed"):
        Predictor(info("fracture"), info("fracture"), device="cpu")
    with pytest.raises(BundleError, match="a fracture bundle is needed"):
        Predictor(info("vertebra"), info("vertebra"), device="cpu")
    with pytest.raises(BundleError, match="Type 2, which cannot be run yet"):
        Predictor(info("vertebra", type=2), info("fracture"), device="cpu")
    with pytest.raises(BundleError, match="Type 3, which cannot be run yet"):
        Predictor(info("vertebra"), info("fracture", type=3), device="cpu")


def test_bad_arguments_are_refused(networks):
    with pytest.raises(ValueError, match="at least one slice"):
        Predictor(info("vertebra"), info("fracture"), batch_size=0)
    with pytest.raises(DeviceError, match="no device named"):
        Predictor(info("vertebra"), info("fracture"), device="tpu")
    with pytest.raises(PredictionsError, match="no slice"):
        Predictor(info("vertebra"), info("fracture"), device="cpu").predict(volume(0))


@pytest.fixture(scope="module")
def real_bundles(tmp_path_factory) -> tuple[BundleInfo, BundleInfo]:
    """Two small real networks with random weights, saved and read back."""
    root = tmp_path_factory.mktemp("bundles")
    torch.manual_seed(0)
    bundles = []
    for task in ("vertebra", "fracture"):
        save_bundle(root / task, build_model(task, 1, "mobilenet_v3_large"), config(task))
        bundles.append(read_bundle(root / task))
    return bundles[0], bundles[1]


def test_real_networks_give_the_same_whatever_the_batch_size(real_bundles):
    series = volume(7, side=64)
    together = Predictor(*real_bundles, device="cpu", batch_size=7).predict(series)
    single = Predictor(*real_bundles, device="cpu", batch_size=1).predict(series)

    assert single.vertebra_probs == pytest.approx(together.vertebra_probs, abs=1e-5)
    assert single.fracture_probs == pytest.approx(together.fracture_probs, abs=1e-5)
    assert np.all(together.fracture_probs == together.fracture_probs[:, :1])


def test_bfloat16_stays_close_to_float32(real_bundles):
    series = volume(3, side=64)
    full = Predictor(*real_bundles, device="cpu").predict(series)
    half = Predictor(*real_bundles, device="cpu", bfloat16=True).predict(series)

    assert half.vertebra_probs == pytest.approx(full.vertebra_probs, abs=0.02)
    assert half.fracture_probs == pytest.approx(full.fracture_probs, abs=0.02)


def test_a_bundle_whose_weights_were_altered_is_refused(real_bundles, tmp_path):
    vertebra, fracture = real_bundles
    folder = tmp_path / "altered"
    folder.mkdir()
    for file in fracture.folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "model.safetensors").write_bytes(b"\0" * 100)

    with pytest.raises(BundleError):
        Predictor(vertebra, read_bundle(folder), device="cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_cpu(real_bundles):
    series = volume(5, side=64)
    on_cpu = Predictor(*real_bundles, device="cpu").predict(series)
    on_gpu = Predictor(*real_bundles, device="cuda").predict(series)

    assert on_gpu.vertebra_probs == pytest.approx(on_cpu.vertebra_probs, abs=2e-3)
    assert on_gpu.fracture_probs == pytest.approx(on_cpu.fracture_probs, abs=2e-3)
