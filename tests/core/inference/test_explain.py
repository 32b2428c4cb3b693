from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from core.errors import BundleError
from core.inference.explain import explain_slice, grad_cam, resized_to_slice
from core.inference.slice_inputs import prepared_images
from core.models.bundles import BundleConfig, read_bundle
from core.models.checkpoint import load_model, save_bundle
from core.models.registry import build_model
from core.types import CTVolume


class Tiny(nn.Module):
    """Feature maps given, pooled and weighed: Grad-CAM of it can be written down."""

    def __init__(self, maps, weights):
        super().__init__()
        self.maps = nn.Conv2d(1, maps.shape[0], 1, bias=False)
        with torch.no_grad():
            self.maps.weight[:] = torch.from_numpy(maps.mean(axis=(1, 2)))[:, None, None, None]
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.last = nn.Linear(maps.shape[0], weights.shape[0], bias=False)
        self.last.weight.data = torch.from_numpy(weights)

    def forward(self, images):
        return self.last(self.pool(torch.relu(self.maps(images))).flatten(1))


def volume_of(hu):
    n = len(hu)
    return CTVolume(
        hu=hu, spacing_mm=(2.0, 1.0, 1.0), affine=np.eye(4), z_mm=np.arange(n)[::-1] * 2.0,
        instance_numbers=(0,) * n, source_files=(), study_uid="1", series_uid="2",
        slice_thickness_mm=2.0,
    )  # fmt: skip


def made_bundle(folder, task, type, size=96, **changes):
    torch.manual_seed(type)
    config = BundleConfig(
        name=f"{task}{type}", task=task, type=type, backbone="mobilenet_v3_large", size=size,
        crop=0.5, window_center=400, window_width=1800, weights_sha256="0" * 64, parameters=1,
        trained_on={}, created="2026-01-01T00:00:00Z", **changes,
    )  # fmt: skip
    save_bundle(folder, build_model(task, type, config.backbone, head=config.head), config)
    return read_bundle(folder)


def test_grad_cam_is_the_formula():
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 1, 1)).astype(np.float32)
    weights = rng.normal(size=(2, 3)).astype(np.float32)
    image = rng.uniform(0, 1, (1, 1, 5, 6)).astype(np.float32)
    model = Tiny(kernel, weights).eval()
    # The last feature maps are the convolution's, before relu: dy/dA is w/(h w) where A > 0.
    maps = kernel.reshape(3, 1, 1).astype(np.float64) * image[0]
    for output in (0, 1):
        slope = (weights[output][:, None, None] * (maps > 0) / 30).mean(axis=(1, 2))
        expected = np.maximum((slope[:, None, None] * maps).sum(axis=0), 0)
        if expected.max() > 0:
            expected /= expected.max()
        cam, logit = grad_cam(model, lambda m: m(torch.from_numpy(image)), output=output)
        np.testing.assert_allclose(cam, expected, atol=1e-5)
        assert logit == pytest.approx(
            float((weights[output] * np.maximum(maps, 0).mean(axis=(1, 2))).sum()), abs=1e-5
        )


def test_the_map_is_placed_on_the_input_region():
    cam = np.array([[0, 0], [0, 1]], np.float32)
    heat = resized_to_slice(cam, (10, 20, 18, 28), (40, 30))
    assert heat.shape == (40, 30)
    assert np.unravel_index(heat.argmax(), heat.shape) == (26, 16)
    outside = heat.copy()
    outside[20:28, 10:18] = 0
    assert not outside.any()


def test_a_region_past_the_edge_is_cut_off():
    cam = np.arange(16, dtype=np.float32).reshape(4, 4) / 15
    heat = resized_to_slice(cam, (-2, -3, 2, 1), (5, 5))
    np.testing.assert_allclose(heat[:1, :2], cam[3:, 2:])
    assert np.count_nonzero(heat) == 2


@pytest.mark.parametrize(
    ("task", "type"),
    [("vertebra", 1), ("vertebra", 2), ("fracture", 1), ("fracture", 2), ("fracture", 3)],
)  # fmt: skip
def test_every_type_is_explained_inside_its_crop(tmp_path, task, type):
    hu = np.random.default_rng(1).integers(-1000, 1500, (3, 64, 64)).astype(np.int16)
    bundle = made_bundle(tmp_path / "b", task, type)
    presence = np.full(7, 0.5, np.float32)
    found = explain_slice(volume_of(hu), bundle, 1, 4, presence=presence)
    assert found.xyxy == (16, 16, 48, 48)
    assert found.heat.shape == (64, 64)
    assert found.heat.dtype == np.float32
    assert 0 <= found.heat.min() <= found.heat.max() <= 1
    outside = found.heat.copy()
    outside[16:48, 16:48] = 0
    assert not outside.any()
    again = explain_slice(volume_of(hu), bundle, 1, 4, presence=presence)
    np.testing.assert_array_equal(found.heat, again.heat)
    assert 0 < found.prob < 1


def test_a_field_that_follows_the_spine_is_followed(tmp_path):
    hu = np.full((4, 96, 96), -1000, np.int16)
    hu[:, 20:40, 50:70] = 900
    bundle = made_bundle(tmp_path / "b", "fracture", 1, field_mm=40.0)
    images, xyxy = prepared_images(volume_of(hu), 2, bundle)
    found = explain_slice(volume_of(hu), bundle, 2, 0)
    assert found.xyxy == xyxy
    assert (xyxy[2] - xyxy[0], xyxy[3] - xyxy[1]) == (40, 40)
    assert xyxy[0] < 60 < xyxy[2]
    assert images.shape[-1] == 96


def test_invalid_arguments_are_refused(tmp_path):
    volume = volume_of(np.zeros((2, 64, 64), np.int16))
    bundle = made_bundle(tmp_path / "b", "fracture", 2)
    with pytest.raises(BundleError, match="needs vertebra presence"):
        explain_slice(volume, bundle, 0, 0)
    with pytest.raises(ValueError, match="no slice 2"):
        explain_slice(volume, bundle, 2, 0)


@pytest.mark.parametrize("type", [1, 2, 3])
def test_a_dense_networks_own_map_is_shown_instead_of_grad_cam(tmp_path, type):
    hu = np.full((4, 96, 96), -1000, np.int16)
    hu[:, 20:40, 50:70] = 900
    changes = {"head": "dense", "field_mm": 40.0}
    bundle = made_bundle(tmp_path / "b", "fracture", type, **changes)
    presence = np.linspace(0, 1, 7).astype(np.float32)
    found = explain_slice(volume_of(hu), bundle, 2, 5, presence=presence)
    images, xyxy = prepared_images(volume_of(hu), 2, bundle)
    with torch.no_grad():
        outputs = load_model(bundle)(images, None, torch.from_numpy(presence[None]), with_maps=True)
    j = 0 if type == 1 else 5
    own = torch.sigmoid(outputs.maps[0, j]).numpy()
    assert own.shape == (24, 24)
    np.testing.assert_allclose(
        found.heat, resized_to_slice(own, xyxy, (96, 96)), rtol=1e-5, atol=1e-7
    )
    assert found.prob == pytest.approx(torch.sigmoid(outputs.logits[0, j]).item(), rel=1e-5)
