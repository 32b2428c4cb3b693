from urllib.error import URLError

import pytest
import torch
from torch import nn
from torchvision.models import get_model, get_model_weights

from core.errors import TrainingError
from core.models import backbones
from core.models.backbone_table import BACKBONES
from core.models.backbones import build_backbone

SMALL = ["mobilenet_v3_large", "shufflenet_v2_x2_0"]
SIDE = 64
"""Pixels; more where a backbone asks for more."""


def _side(name):
    return max(SIDE, BACKBONES[name].min_size)


def _whole(name):
    """torchvision's own network, without auxiliary heads."""
    return get_model(name, weights=None, **BACKBONES[name].options)


def _penultimate(network, name, images):
    """Input of torchvision's last linear layer, or its averaged last feature map."""
    seen = []
    if BACKBONES[name].pool_all:
        network.features.register_forward_hook(lambda _m, _i, output: seen.append(output))
    else:
        last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
        last.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0]))
    network(images)
    return seen[0].mean(dim=(2, 3)) if seen[0].ndim == 4 else seen[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BACKBONES if name != "mobilenet_v3_large"])
def test_features_are_those_before_torchvisions_last_layer(name):
    torch.manual_seed(0)
    whole, cut = _whole(name).eval(), build_backbone(name).eval()
    _, surplus = cut.load_state_dict(whole.state_dict(), strict=False)
    assert all(key.startswith(BACKBONES[name].last) for key in surplus)
    images = torch.rand(2, 3, _side(name), _side(name))
    with torch.inference_mode():
        expected, features = _penultimate(whole, name, images), cut(images)
    assert features.shape == (2, BACKBONES[name].features)
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


def test_mobilenets_features_are_pooled_before_its_two_layers():
    whole, cut = _whole("mobilenet_v3_large").eval(), build_backbone("mobilenet_v3_large").eval()
    cut.load_state_dict(whole.state_dict(), strict=False)
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        expected = whole.features(images).mean(dim=(2, 3))
        torch.testing.assert_close(cut(images), expected)


@pytest.mark.parametrize("name", ["alexnet", "inception_v3"])
def test_one_pixel_less_than_the_least_size_leaves_nothing_to_pool(name):
    network, least = build_backbone(name).eval(), BACKBONES[name].min_size
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, least, least)).shape == (1, BACKBONES[name].features)
        with pytest.raises(RuntimeError):
            network(torch.zeros(1, 3, least - 1, least - 1))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["convnext_small", "swin_s"])
def test_a_multiple_of_the_stride_lets_no_pixel_be_dropped(name):
    torch.manual_seed(0)
    network, side = build_backbone(name).eval(), BACKBONES[name].multiple * 16
    images = torch.rand(1, 3, side, side)
    changed = images.clone()
    changed[..., -1] = 1 - changed[..., -1]
    with torch.inference_mode():
        assert not torch.equal(network(images), network(changed))


@pytest.mark.parametrize("name", list(BACKBONES))
def test_the_table_holds_the_normalisation_of_the_pretrained_weights(name):
    preset, spec = get_model_weights(name).DEFAULT.transforms(), BACKBONES[name]
    mean, std = torch.tensor(spec.mean_std[0]), torch.tensor(spec.mean_std[1])
    pixel = torch.tensor([0.1, 0.5, 0.9])
    expected = (pixel - torch.tensor(preset.mean)) / torch.tensor(preset.std)
    if "transform_input" in spec.options:
        network = get_model(name, weights=None, aux_logits=False, init_weights=False,
                            transform_input=True)  # fmt: skip
        expected = network._transform_input(expected.view(1, 3, 1, 1)).flatten()
    torch.testing.assert_close((pixel - mean) / std, expected)


@pytest.mark.parametrize("name", [*SMALL, "mnasnet1_3", "efficientnet_v2_s", "inception_v3"])
def test_batch_norm_follows_the_data_within_a_short_run(name):
    layers = [m for m in build_backbone(name).modules() if isinstance(m, nn.BatchNorm2d)]
    assert layers
    assert all(layer.momentum == backbones.BATCH_NORM_MOMENTUM for layer in layers)


def test_same_seed_gives_the_same_random_weights():
    made = []
    for _ in range(2):
        torch.manual_seed(5)
        made.append(build_backbone("mobilenet_v3_large").state_dict())
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])


class _Weights:
    """Stands in for a torchvision weights enum."""

    url = "https://example.org/net-1234.pth"

    def __init__(self, answer):
        self.answer = answer
        self.DEFAULT = self

    def get_state_dict(self, **_):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def _with_weights(monkeypatch, answer):
    monkeypatch.setattr(backbones, "get_model_weights", lambda _name: _Weights(answer))


@pytest.mark.parametrize("error", [URLError("no route"), OSError("disk"), RuntimeError("hash")])
def test_failed_download_says_what_to_do(monkeypatch, error):
    _with_weights(monkeypatch, error)
    with pytest.raises(TrainingError, match=r"`pretrained: false`.*net-1234\.pth.*hub cache"):
        build_backbone("mobilenet_v3_large", pretrained=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v3_large", "googlenet", "convnext_small"])
def test_pretrained_weights_are_loaded_except_for_removed_layers(monkeypatch, name):
    complete = {"aux_logits": True, "init_weights": False} if name == "googlenet" else {}
    whole = get_model(name, weights=None, **complete).state_dict()
    _with_weights(monkeypatch, whole)
    state = build_backbone(name, pretrained=True).state_dict()
    assert all(torch.equal(state[key], whole[key]) for key in state)
    assert not any(key.startswith((BACKBONES[name].last, "aux")) for key in state)


def test_incomplete_pretrained_weights_are_refused(monkeypatch):
    whole = _whole("mobilenet_v3_large").state_dict()
    first = next(iter(whole))
    del whole[first]
    _with_weights(monkeypatch, whole)
    with pytest.raises(TrainingError, match=f"lack {first}"):
        build_backbone("mobilenet_v3_large", pretrained=True)


def test_pretrained_weights_of_another_network_are_refused(monkeypatch):
    whole = _whole("mobilenet_v3_large").state_dict() | {"stem.weight": torch.zeros(1)}
    _with_weights(monkeypatch, whole)
    with pytest.raises(TrainingError, match=r"hold stem\.weight"):
        build_backbone("mobilenet_v3_large", pretrained=True)
