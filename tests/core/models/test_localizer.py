"""Anchors fitted to boxes, and the detector on its pyramid."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.errors import BundleError, ConfigError, TrainingError
from core.models.anchors import fit_anchors, shared_centre_iou
from core.models.bundles import BundleConfig, read_bundle
from core.models.checkpoint import save_bundle
from core.models.localizer import Localizer
from core.models.localizer_bundle import load_localizer, start_localizer

ANCHORS = fit_anchors(np.random.default_rng(0).uniform(6, 40, (60, 2)), levels=3, per_level=2)


@pytest.fixture(scope="module")
def localizer():
    torch.manual_seed(0)
    return Localizer("mobilenet_v3_large", ANCHORS, size=64)


def test_anchors_cover_the_boxes_better_than_torchvisions_default():
    rng = np.random.default_rng(1)
    sides = np.exp(rng.normal([3.0, 2.6], [0.5, 0.3], (500, 2)))
    fitted = np.array(
        [side for level in fit_anchors(sides, levels=3, per_level=3) for side in level]
    )
    default = np.array([(s / r**0.5, s * r**0.5) for s in (32, 64, 128) for r in (0.5, 1.0, 2.0)])
    covered = shared_centre_iou(sides, fitted).max(axis=1).mean()
    assert covered > 0.75 > shared_centre_iou(sides, default).max(axis=1).mean()


def test_the_smallest_anchors_lie_on_the_finest_level():
    areas = [[w * h for w, h in level] for level in ANCHORS]
    assert max(areas[0]) <= min(areas[1])
    assert max(areas[1]) <= min(areas[2])


def test_equal_boxes_and_few_boxes_still_give_all_anchors():
    found = fit_anchors(np.full((2, 2), 9.0), levels=3, per_level=3)
    assert [len(level) for level in found] == [3, 3, 3]
    assert np.isfinite(found).all()


def test_no_box_at_all_says_what_to_add():
    with pytest.raises(TrainingError, match=r"train_bounding_boxes\.csv"):
        fit_anchors(np.empty((0, 2)), levels=1, per_level=1)


def test_the_pyramid_begins_at_stride_four(localizer):
    maps = localizer.detector.backbone(torch.zeros(1, 3, 64, 64))
    assert [tuple(m.shape[-2:]) for m in maps.values()] == [(16, 16), (8, 8), (4, 4)]


def test_slices_without_boxes_contribute_to_the_loss(localizer):
    localizer.train()
    images = torch.randint(0, 255, (3, 3, 64, 64), dtype=torch.uint8)
    boxes = (torch.tensor([[8.0, 8, 24, 20]]), torch.zeros(0, 4), torch.zeros(0, 4))
    losses = localizer(images, boxes)
    assert len(losses) == 4
    assert all(torch.isfinite(value) for value in losses.values())
    with pytest.raises(ValueError, match="pass one tensor per slice"):
        localizer(images)


def test_boxes_come_best_first_and_inside_the_slice(localizer):
    localizer.eval()
    for raw in localizer(torch.randint(0, 255, (2, 64, 64), dtype=torch.uint8)):
        assert (raw.scores[:-1] >= raw.scores[1:]).all()
        assert len(raw.xyxy) == 0 or (raw.xyxy.min() >= 0 and raw.xyxy.max() <= 64)


@pytest.mark.slow
def test_a_bundle_gives_the_same_boxes_back(localizer, tmp_path):
    localizer.eval()
    config = _config(anchors=ANCHORS)
    save_bundle(tmp_path / "b", localizer, config, half=False)
    again = load_localizer(read_bundle(tmp_path / "b"))
    images = torch.randint(0, 255, (2, 64, 64), dtype=torch.uint8)
    for one, other in zip(localizer(images), again(images), strict=True):
        torch.testing.assert_close(one.xyxy, other.xyxy, atol=1e-3, rtol=1e-4)
        torch.testing.assert_close(one.scores, other.scores)


def test_a_bundle_of_another_task_is_refused(untrained_bundles):
    with pytest.raises(BundleError, match="a localisation bundle is needed"):
        load_localizer(read_bundle(untrained_bundles / "fracture-untrained"))


def test_the_backbone_of_a_slice_model_is_a_start(untrained_bundles):
    fresh = Localizer("mobilenet_v3_large", ANCHORS, size=64)
    bundle = read_bundle(untrained_bundles / "fracture-untrained")
    assert start_localizer(fresh, bundle) > 200
    from core.models.checkpoint import load_model

    expected = load_model(bundle).backbone.features[3].block[0][0].weight
    torch.testing.assert_close(
        fresh.detector.backbone.body["3"].block[0][0].weight.detach(), expected
    )


@pytest.mark.slow
def test_another_localiser_is_a_start_with_its_heads(localizer, tmp_path):
    save_bundle(tmp_path / "b", localizer, _config(anchors=ANCHORS), half=False)
    fresh = Localizer("mobilenet_v3_large", ANCHORS, size=64)
    assert start_localizer(fresh, read_bundle(tmp_path / "b")) == len(fresh.state_dict())
    for name, value in fresh.state_dict().items():
        torch.testing.assert_close(value, localizer.state_dict()[name])


def test_another_backbone_is_no_start(untrained_bundles):
    other = Localizer("resnet50", tuple(ANCHORS[k % 3] for k in range(4)), size=64)
    with pytest.raises(BundleError, match="does not fit"):
        start_localizer(other, read_bundle(untrained_bundles / "fracture-untrained"))


def test_wrong_backbones_and_anchors_are_named():
    with pytest.raises(ConfigError, match="no feature pyramid"):
        Localizer("alexnet", ANCHORS, size=64)
    with pytest.raises(ConfigError, match="3 levels"):
        Localizer("mobilenet_v3_large", ANCHORS[:2], size=64)


def _config(**changes):
    values = {
        "name": "localization-x", "task": "localization", "type": 1,
        "backbone": "mobilenet_v3_large", "size": 64, "crop": 1.0, "field_mm": 88.0,
        "window_center": 400, "window_width": 1800, "weights_sha256": "0" * 64, "parameters": 1,
        "trained_on": {}, "created": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return BundleConfig(**(values | changes))
