import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import BundleError
from core.models.backbone_table import BACKBONES
from core.models.bundles import (
    CONFIG_FILE,
    UNSAVED_SHA256,
    WEIGHTS_FILE,
    BundleConfig,
    list_bundles,
    read_bundle,
)
from core.models.checkpoint import load_model, save_bundle, start_from_bundle
from core.models.registry import MODELS, build_model

SIZE = 48


def _config(**changes):
    values = {
        "name": "made", "task": "vertebra", "type": 1, "backbone": "mobilenet_v3_large",
        "size": SIZE, "crop": 0.8, "window_center": 400.0, "window_width": 1800.0,
        "weights_sha256": UNSAVED_SHA256, "parameters": 1, "trained_on": {"synthetic": True},
        "created": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return BundleConfig(**(values | changes))


@pytest.fixture(scope="module")
def model():
    """A model whose running statistics and weights differ from the initial ones."""
    torch.manual_seed(0)
    made = build_model("vertebra", 1, "mobilenet_v3_large")
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-3)
    for _ in range(4):
        optimizer.zero_grad()
        made(torch.randint(0, 256, (4, SIZE, SIZE), dtype=torch.uint8)).square().sum().backward()
        optimizer.step()
    return made.eval()


@pytest.fixture
def folder(tmp_path, model):
    save_bundle(tmp_path / "made", model, _config())
    return tmp_path / "made"


def _logits(model):
    images = torch.randint(
        0, 256, (8, SIZE, SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )
    with torch.inference_mode():
        return model(images)


def test_loaded_model_answers_as_the_saved_one_but_for_half_precision(folder, model):
    loaded = load_model(read_bundle(folder))
    difference = (_logits(loaded) - _logits(model)).abs().max()
    assert difference < 0.02 * max(1.0, _logits(model).abs().max().item())


def test_full_precision_bundle_answers_exactly(tmp_path, model):
    save_bundle(tmp_path / "full", model, _config(), half=False)
    loaded = load_model(read_bundle(tmp_path / "full"))
    state = loaded.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())


def test_loaded_model_is_in_eval_mode_float32_without_gradients(folder):
    loaded = load_model(read_bundle(folder))
    assert not loaded.training
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in loaded.parameters())


def test_statistics_too_large_for_half_precision_survive(tmp_path):
    made = build_model("fracture", 1, "mobilenet_v3_large")
    norm = next(m for m in made.modules() if isinstance(m, torch.nn.BatchNorm2d))
    norm.running_var.fill_(1e6)
    save_bundle(tmp_path / "b", made, _config(task="fracture"))
    loaded = load_model(read_bundle(tmp_path / "b"))
    same = next(m for m in loaded.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert torch.equal(same.running_var, norm.running_var)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_every_backbone_comes_back_from_its_bundle(tmp_path, backbone):
    made = build_model("fracture", 1, backbone, size=96)
    save_bundle(tmp_path, made, _config(task="fracture", backbone=backbone, size=96))
    bundle = read_bundle(tmp_path)
    loaded = load_model(bundle).state_dict()
    for name, tensor in made.state_dict().items():
        torch.testing.assert_close(loaded[name], tensor, rtol=1e-3, atol=1e-3)
    fresh = build_model("fracture", 1, backbone, size=96)
    taken, of = start_from_bundle(fresh, bundle)
    assert taken == of


@pytest.mark.parametrize("backbone", ["mobilenet_v3_large", "googlenet", "densenet121"])
def test_half_precision_bundle_is_small_enough_to_ship(tmp_path, backbone):
    save_bundle(tmp_path, build_model("fracture", 1, backbone), _config(backbone=backbone))
    assert (tmp_path / WEIGHTS_FILE).stat().st_size < 16 * 2**20


def test_config_counts_parameters_and_digests_the_weights(folder, model):
    config = read_bundle(folder).config
    digest = hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
    assert config.weights_sha256 == digest
    assert config.parameters == sum(p.numel() for p in model.parameters())


def test_altered_weights_are_refused(folder):
    payload = bytearray((folder / WEIGHTS_FILE).read_bytes())
    payload[-1] ^= 1
    (folder / WEIGHTS_FILE).write_bytes(payload)
    with pytest.raises(BundleError, match=r"not the file its config\.json was written for"):
        load_model(read_bundle(folder))


def test_weights_of_another_model_are_refused(folder):
    config = json.loads((folder / CONFIG_FILE).read_text()) | {"task": "fracture"}
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    with pytest.raises(BundleError, match="does not fit"):
        load_model(read_bundle(folder))


def test_missing_tensor_is_refused(folder):
    state = load_file(folder / WEIGHTS_FILE)
    del state["head.0.weight"]
    save_file(state, folder / WEIGHTS_FILE)
    digest = hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
    config = json.loads((folder / CONFIG_FILE).read_text()) | {"weights_sha256": digest}
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    with pytest.raises(BundleError, match="does not fit"):
        load_model(read_bundle(folder))


def test_weights_that_vanish_after_reading_the_config_are_reported(folder):
    bundle = read_bundle(folder)
    bundle.weights_file.unlink()
    with pytest.raises(BundleError, match="cannot be read"):
        load_model(bundle)


def test_model_type_that_is_not_built_is_a_bundle_error(folder):
    config = json.loads((folder / CONFIG_FILE).read_text()) | {"type": 3}
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    assert list_bundles(folder.parent)[0].config.type == 3
    with pytest.raises(BundleError, match="does not fit"):
        load_model(read_bundle(folder))


def test_a_size_the_backbone_does_not_take_is_a_bundle_error(folder):
    config = json.loads((folder / CONFIG_FILE).read_text())
    config |= {"backbone": "inception_v3", "size": 64}
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    with pytest.raises(BundleError, match="does not fit"):
        load_model(read_bundle(folder))


@pytest.mark.parametrize(("task", "kind"), list(MODELS))
def test_every_type_comes_back_from_disk(tmp_path, task, kind):
    made = build_model(task, kind, "mobilenet_v3_large").eval()
    config = _config(task=task, type=kind, channels="windows", alpha=3.0, vertebra_bundle="v")
    save_bundle(tmp_path, made, config, half=False)
    bundle = read_bundle(tmp_path)
    assert (bundle.config.preparation.channels, bundle.config.alpha) == ("windows", 3.0)
    assert bundle.config.vertebra_bundle == "v"
    images = torch.randint(0, 256, (2, 3, SIZE, SIZE), dtype=torch.uint8)
    metadata, presence = torch.rand(2, 3), torch.rand(2, 7)
    with torch.inference_mode():
        found = load_model(bundle)(images, metadata, presence)
        torch.testing.assert_close(found, made(images, metadata, presence))
