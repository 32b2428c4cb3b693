import typing
from urllib.error import URLError

import pytest
import torch
from torch import nn

from core.config import BackboneName
from core.errors import ConfigError, TrainingError
from core.models import backbones
from core.models.backbones import BACKBONES, backbone_spec, build_backbone


def test_table_and_config_name_the_same_backbones():
    assert tuple(BACKBONES) == typing.get_args(BackboneName)


@pytest.mark.parametrize("name", list(BACKBONES))
def test_gives_pooled_features_of_the_width_in_the_table(name):
    network = build_backbone(name).eval()
    with torch.inference_mode():
        features = network(torch.zeros(2, 3, 64, 64))
    assert features.shape == (2, BACKBONES[name].features)


@pytest.mark.parametrize("name", list(BACKBONES))
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


def test_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"'resnet5'.*googlenet.*resnet50"):
        backbone_spec("resnet5")


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
    spec = BACKBONES["mobilenet_v3_large"]
    changed = backbones.BackboneSpec(
        spec.build, _Weights(answer), spec.classifier, spec.features, spec.mean_std, spec.options
    )
    monkeypatch.setitem(BACKBONES, "mobilenet_v3_large", changed)


@pytest.mark.parametrize("error", [URLError("no route"), OSError("disk"), RuntimeError("hash")])
def test_failed_download_says_what_to_do(monkeypatch, error):
    _with_weights(monkeypatch, error)
    with pytest.raises(TrainingError, match=r"`pretrained: false`.*net-1234\.pth.*hub cache"):
        build_backbone("mobilenet_v3_large", pretrained=True)


def test_pretrained_weights_are_taken_over_but_for_the_classifier(monkeypatch):
    whole = BACKBONES["mobilenet_v3_large"].build(weights=None).state_dict()
    _with_weights(monkeypatch, whole)
    state = build_backbone("mobilenet_v3_large", pretrained=True).state_dict()
    assert all(torch.equal(state[name], whole[name]) for name in state)
    assert not any(name.startswith("classifier") for name in state)


def test_incomplete_pretrained_weights_are_refused(monkeypatch):
    whole = BACKBONES["mobilenet_v3_large"].build(weights=None).state_dict()
    first = next(iter(whole))
    del whole[first]
    _with_weights(monkeypatch, whole)
    with pytest.raises(TrainingError, match=first):
        build_backbone("mobilenet_v3_large", pretrained=True)
