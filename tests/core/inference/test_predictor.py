from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from core.config import SlicePreparation
from core.errors import BundleError, DeviceError, PredictionsError
from core.inference import predictor as module
from core.inference import slice_inputs
from core.inference.predictor import Predictor
from core.inference.segmentation import SegmentationPredictor
from core.models.bundles import BundleConfig, BundleInfo, read_bundle
from core.models.checkpoint import load_model, save_bundle
from core.models.pairs import choose_segmenter
from core.models.registry import MODELS, build_model
from core.preprocessing.metadata import slice_metadata
from core.preprocessing.network_input import slices_for_network
from core.types import CTVolume

CHANNELS = {1: "grey", 2: "neighbours", 3: "windows"}
"""Channel mode of the real networks below, by type."""


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


def volume(n_slices: int, side: int = 40, seed: int = 0, **changes) -> CTVolume:
    rng = np.random.default_rng(seed)
    hu = rng.integers(-1000, 1800, (n_slices, side, side), dtype=np.int16)
    hu.setflags(write=False)
    found = CTVolume(
        hu=hu,
        spacing_mm=(2.0, 0.5, 0.5),
        affine=np.eye(4),
        z_mm=-2.0 * np.arange(n_slices),
        instance_numbers=tuple(range(1, n_slices + 1)),
        source_files=tuple(Path(f"{k}.dcm") for k in range(n_slices)),
        study_uid="1.2.3",
        series_uid="1.2.3.4",
    )
    return replace(found, **changes)


class MeanGrey(nn.Module):
    """Logits known in advance: column j is mean grey / 255 + j."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.batches: list[torch.Tensor] = []
        self.metadata: list[torch.Tensor | None] = []
        self.presence: list[torch.Tensor | None] = []

    def forward(self, images, metadata=None, presence=None) -> torch.Tensor:
        self.batches.append(images)
        self.metadata.append(metadata)
        self.presence.append(presence)
        grey = images.float().flatten(1).mean(dim=1) / 255
        return grey[:, None] + torch.arange(self.outputs)


class OneOdd(nn.Module):
    """Zero logits except for the last one of a batch."""

    def __init__(self, last: float, outputs: int) -> None:
        super().__init__()
        self.last, self.outputs = last, outputs

    def forward(self, images: torch.Tensor, *_others) -> torch.Tensor:
        logits = torch.zeros(len(images), self.outputs)
        logits[-1, -1] = self.last
        return logits


@pytest.fixture
def networks(monkeypatch):
    """Replace what a bundle loads; returns the stand-ins by task."""
    stand_ins: dict[str, nn.Module] = {"vertebra": MeanGrey(7), "fracture": MeanGrey(1)}
    monkeypatch.setattr(
        module, "load_fast_model", lambda bundle, _device, **_how: stand_ins[bundle.config.task]
    )
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
    real = slice_inputs.batch_for_network

    def counted(hu, batch, preparation, field):
        calls.append(preparation)
        return real(hu, batch, preparation, field)

    monkeypatch.setattr(slice_inputs, "batch_for_network", counted)
    Predictor(info("vertebra"), info("fracture"), device="cpu").predict(volume(3))
    assert len(calls) == 1
    assert networks["vertebra"].batches[0] is networks["fracture"].batches[0]

    calls.clear()
    different = info("fracture", size=48, crop=0.5, window_center=40.0, window_width=400.0)
    Predictor(info("vertebra"), different, device="cpu").predict(volume(3))
    assert [how.size for how in calls] == [32, 48]
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


def test_a_full_device_takes_smaller_batches_and_gives_the_same(networks, monkeypatch, caplog):
    whole = Predictor(info("vertebra"), info("fracture"), device="cpu", batch_size=8)
    expected = whole.predict(volume(11))
    forward, sizes = networks["vertebra"].forward, []

    def cramped(images, *others):
        sizes.append(len(images))
        if len(images) > 2:
            raise torch.OutOfMemoryError("no room")
        return forward(images, *others)

    monkeypatch.setattr(networks["vertebra"], "forward", cramped)
    predictor = Predictor(info("vertebra"), info("fracture"), device="cpu", batch_size=8)
    found = predictor.predict(volume(11))
    np.testing.assert_allclose(found.vertebra_probs, expected.vertebra_probs, atol=1e-6)
    np.testing.assert_allclose(found.fracture_probs, expected.fracture_probs, atol=1e-6)
    assert sizes[:3] == [8, 4, 2]
    assert max(sizes[2:]) == 2
    assert "continuing with 4" in caplog.text
    assert "continuing with 2" in caplog.text


def test_a_device_too_full_for_one_slice_is_one_sentence(networks, monkeypatch):
    def full(*_inputs):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(networks["vertebra"], "forward", full)
    predictor = Predictor(info("vertebra"), info("fracture"), device="cpu")

    with pytest.raises(DeviceError, match="too little free memory for one slice of vertebra-tiny"):
        predictor.predict(volume(2))


def test_bundles_that_cannot_play_their_part_are_refused(networks):
    with pytest.raises(BundleError, match="fracture-tiny scores no vertebra presence"):
        Predictor(info("fracture"), info("fracture"), device="cpu")
    with pytest.raises(BundleError, match="fracture-tiny scores no vertebra presence"):
        Predictor(info("fracture", type=2), info("fracture"), device="cpu")
    with pytest.raises(BundleError, match="a fracture bundle is needed"):
        Predictor(info("vertebra"), info("vertebra"), device="cpu")


def test_type_2_vertebra_gets_each_slices_place_and_thickness(networks):
    series = volume(5, slice_thickness_mm=2.5)
    Predictor(info("vertebra", type=2), info("fracture"), device="cpu", batch_size=3).predict(
        series
    )

    given = torch.cat(networks["vertebra"].metadata).numpy()
    assert given == pytest.approx(slice_metadata(series.z_mm, 2.5))
    assert given[:, 0].tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_type_2_fracture_gets_the_vertebra_probabilities_of_its_slices(networks):
    networks["fracture"] = MeanGrey(7)
    found = Predictor(
        info("vertebra"), info("fracture", type=2), device="cpu", batch_size=3
    ).predict(volume(5))

    given = torch.cat(networks["fracture"].presence).numpy()
    assert np.array_equal(given, found.vertebra_probs)
    grey = torch.cat(networks["fracture"].batches).float().flatten(1).mean(dim=1).numpy() / 255
    assert found.fracture_probs == pytest.approx(sigmoid(grey[:, None] + np.arange(7)), abs=1e-6)
    assert found.fracture_type == 2


def test_type_3_given_twice_runs_once_and_gives_both(networks):
    networks["fracture"] = MeanGrey(14)
    alone = info("fracture", type=3)
    found = Predictor(alone, alone, device="cpu", batch_size=4).predict(volume(6))

    assert len(networks["fracture"].batches) == 2
    grey = torch.cat(networks["fracture"].batches).float().flatten(1).mean(dim=1).numpy() / 255
    assert found.fracture_probs == pytest.approx(sigmoid(grey[:, None] + np.arange(7)), abs=1e-6)
    assert found.vertebra_probs == pytest.approx(
        sigmoid(grey[:, None] + np.arange(7, 14)), abs=1e-6
    )
    assert found.models == ("fracture-tiny",)
    assert found.fracture_type == 3


def test_beside_type_3_a_vertebra_bundle_gives_presence(networks):
    networks["fracture"] = MeanGrey(14)
    found = Predictor(info("vertebra"), info("fracture", type=3), device="cpu").predict(volume(3))

    grey = networks["vertebra"].batches[0].float().flatten(1).mean(dim=1).numpy() / 255
    assert found.vertebra_probs == pytest.approx(sigmoid(grey[:, None] + np.arange(7)), abs=1e-6)
    assert found.fracture_probs == pytest.approx(sigmoid(grey[:, None] + np.arange(7)), abs=1e-6)
    assert found.models == ("vertebra-tiny", "fracture-tiny")


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7])
def test_neighbours_come_from_the_series_whatever_the_batches(networks, batch_size):
    series = volume(7)
    how = {"channels": "neighbours"}
    Predictor(
        info("vertebra", **how), info("fracture", **how), device="cpu", batch_size=batch_size
    ).predict(series)

    grey = slices_for_network(series.hu, SlicePreparation(size=32))
    above, below = grey[[0, 0, 1, 2, 3, 4, 5]], grey[[1, 2, 3, 4, 5, 6, 6]]
    given = torch.cat(networks["vertebra"].batches).numpy()
    assert np.array_equal(given, np.stack([above, grey, below], axis=1))


def test_a_single_slice_is_its_own_neighbour(networks):
    how = {"channels": "neighbours"}
    Predictor(info("vertebra", **how), info("fracture"), device="cpu").predict(volume(1))
    (given,) = networks["vertebra"].batches
    assert given.shape == (1, 3, 32, 32)
    assert torch.equal(given[:, 0], given[:, 2])
    assert networks["fracture"].batches[0].shape == (1, 32, 32)


def test_three_windows_reach_the_network_as_three_channels(networks):
    series = volume(3)
    how = {"channels": "windows"}
    Predictor(info("vertebra", **how), info("fracture", **how), device="cpu").predict(series)
    expected = slices_for_network(series.hu, SlicePreparation(size=32, channels="windows"))
    assert np.array_equal(networks["fracture"].batches[0].numpy(), expected)
    assert networks["vertebra"].batches[0] is networks["fracture"].batches[0]


def test_the_noise_reduction_of_each_bundle_is_applied(networks):
    series = volume(5)
    how = {"noise_reduction": "threshold", "noise_threshold": 100}
    Predictor(info("vertebra"), info("fracture", **how), device="cpu").predict(series)
    plain = slices_for_network(series.hu, SlicePreparation(size=32))
    dark = np.where(plain < 100, 0, plain)
    assert (dark != plain).any()
    assert np.array_equal(networks["vertebra"].batches[0].numpy(), plain)
    assert np.array_equal(networks["fracture"].batches[0].numpy(), dark)


def test_bad_arguments_are_refused(networks):
    with pytest.raises(ValueError, match="at least one slice"):
        Predictor(info("vertebra"), info("fracture"), batch_size=0)
    with pytest.raises(DeviceError, match="no device named"):
        Predictor(info("vertebra"), info("fracture"), device="tpu")
    with pytest.raises(PredictionsError, match="no slice"):
        Predictor(info("vertebra"), info("fracture"), device="cpu").predict(volume(0))


@pytest.fixture(scope="module")
def real_bundles(tmp_path_factory) -> dict[tuple[str, int], BundleInfo]:
    """A small real network of each task and type, with random weights, saved and read back."""
    root = tmp_path_factory.mktemp("bundles")
    torch.manual_seed(0)
    bundles = {}
    for task, kind in MODELS:
        folder = root / f"{task}{kind}"
        model = build_model(task, kind, "mobilenet_v3_large")
        with torch.no_grad():
            model.train()(*(torch.randint(0, 256, (8, 32, 32), dtype=torch.uint8),
                            torch.rand(8, 3), torch.rand(8, 7)))  # fmt: skip
        save_bundle(folder, model, config(task, type=kind, channels=CHANNELS[kind]))
        bundles[task, kind] = read_bundle(folder)
    return bundles


PAIRS = [
    (("vertebra", v), ("fracture", f)) for v in (1, 2) for f in (1, 2, 3)
] + [(("fracture", 3), ("fracture", 3))]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: str(pair))
def test_every_pair_gives_the_same_whatever_the_batch_size(real_bundles, pair):
    bundles, series = [real_bundles[key] for key in pair], volume(7, side=64)
    how = {"device": "cpu", "bfloat16": False}
    together = Predictor(*bundles, batch_size=7, **how).predict(series)
    single = Predictor(*bundles, batch_size=1, **how).predict(series)

    assert single.vertebra_probs == pytest.approx(together.vertebra_probs, abs=1e-5)
    assert single.fracture_probs == pytest.approx(together.fracture_probs, abs=1e-5)
    assert together.fracture_type == pair[1][1]
    if pair[1][1] == 1:
        assert np.all(together.fracture_probs == together.fracture_probs[:, :1])
    else:
        assert not np.all(together.fracture_probs == together.fracture_probs[:, :1])


@pytest.mark.slow
def test_the_numbers_are_those_of_the_plain_models(real_bundles):
    series = volume(4, side=64)
    bundles = real_bundles["vertebra", 1], real_bundles["fracture", 1]
    found = Predictor(*bundles, device="cpu", bfloat16=False).predict(series)
    images = slices_for_network(series.hu, SlicePreparation(size=32))
    with torch.inference_mode():
        v, f = (torch.sigmoid(load_model(b)(torch.from_numpy(images))).numpy() for b in bundles)
    assert found.vertebra_probs == pytest.approx(v, abs=1e-5)
    assert found.fracture_probs == pytest.approx(np.repeat(f, 7, axis=1), abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("pair", [PAIRS[1], PAIRS[6]], ids=lambda pair: str(pair))
def test_the_presence_of_a_segmenter_replaces_that_of_the_vertebra_network(
    real_bundles, untrained_segmenter, pair
):
    bundles, series = [real_bundles[key] for key in pair], volume(4, side=64)
    segmenter = choose_segmenter(untrained_segmenter)
    how = {"device": "cpu", "bfloat16": False}
    found = Predictor(*bundles, segmenter=segmenter, **how).predict(series)
    presence = SegmentationPredictor(segmenter, device="cpu").segment(series).presence()
    np.testing.assert_array_equal(found.vertebra_probs, presence)
    names = dict.fromkeys(one.config.name for one in (segmenter, *bundles))
    assert found.models == tuple(names)
    fracture = bundles[1]
    images = slices_for_network(series.hu, fracture.config.preparation)
    metadata = torch.from_numpy(slice_metadata(series.z_mm, series.slice_thickness_mm))
    with torch.inference_mode():
        logits = load_model(fracture)(
            torch.from_numpy(images), metadata, torch.from_numpy(presence)
        )
    expected = torch.sigmoid(logits)[:, :7].numpy()
    assert found.fracture_probs == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("pair", [PAIRS[0], PAIRS[4]], ids=lambda pair: str(pair))
def test_bfloat16_stays_close_to_float32(real_bundles, pair):
    bundles, series = [real_bundles[key] for key in pair], volume(3, side=64)
    full = Predictor(*bundles, device="cpu", bfloat16=False).predict(series)
    half = Predictor(*bundles, device="cpu", bfloat16=True).predict(series)

    assert half.vertebra_probs == pytest.approx(full.vertebra_probs, abs=0.02)
    assert half.fracture_probs == pytest.approx(full.fracture_probs, abs=0.02)
    assert not np.array_equal(half.vertebra_probs, full.vertebra_probs)


@pytest.mark.slow
def test_a_bundle_whose_weights_were_altered_is_refused(real_bundles, tmp_path):
    vertebra, fracture = real_bundles["vertebra", 1], real_bundles["fracture", 1]
    folder = tmp_path / "altered"
    folder.mkdir()
    for file in fracture.folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "model.safetensors").write_bytes(b"\0" * 100)

    with pytest.raises(BundleError):
        Predictor(vertebra, read_bundle(folder), device="cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: str(pair))
def test_cuda_agrees_with_cpu(real_bundles, pair):
    bundles, series = [real_bundles[key] for key in pair], volume(5, side=64)
    on_cpu = Predictor(*bundles, device="cpu", bfloat16=False).predict(series)
    on_gpu = Predictor(*bundles, device="cuda", bfloat16=False).predict(series)

    assert on_gpu.vertebra_probs == pytest.approx(on_cpu.vertebra_probs, abs=2e-3)
    assert on_gpu.fracture_probs == pytest.approx(on_cpu.fracture_probs, abs=2e-3)
