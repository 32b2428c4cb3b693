from __future__ import annotations

import numpy as np
import pytest
import torch

from core.models.feature_tap import FeatureTap
from core.models.registry import build_model

IMAGES = torch.randint(0, 255, (5, 32, 32), dtype=torch.uint8)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build_model("vertebra", 1, "mobilenet_v3_large").eval()


def test_the_features_of_every_pass_that_is_kept_come_in_order(model):
    with torch.inference_mode(), FeatureTap(model) as tap:
        model(IMAGES[:3])
        tap.keep()
        model(IMAGES[:1])
        model(IMAGES[3:])
        tap.keep()
        tap.keep()
        expected = model.features(IMAGES)
    np.testing.assert_allclose(tap.features(), expected.numpy(), rtol=1e-4, atol=1e-5)


def test_a_closed_tap_takes_nothing(model):
    with FeatureTap(model):
        pass
    assert not model.backbone._forward_hooks


def test_maps_are_averaged_over_their_pixels(model):
    tap = FeatureTap(model)
    maps = torch.arange(24.0).reshape(1, 2, 3, 4)
    for output in (maps, {"fine": torch.zeros(1, 9, 9, 9), "coarse": maps}):
        tap._take(model, (), output)
        tap.keep()
    np.testing.assert_allclose(tap.features(), [[5.5, 17.5]] * 2)
