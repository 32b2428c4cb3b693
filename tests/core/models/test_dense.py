"""Dense slice networks: shapes, the pooling's formula, gating, and weights of a localiser."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from core.config import PROJECT_ROOT
from core.models.bundles import BundleConfig, read_bundle
from core.models.checkpoint import load_model, save_bundle, start_from_bundle
from core.models.dense import POOLED, CellFeatures, DenseFractureType2, LogMeanExp
from core.models.fast_model import load_fast_model
from core.models.localizer_bundle import load_localizer, start_localizer
from core.models.registry import build_model
from core.training.losses import loss_for
from core.training.map_loss import box_cells

CHECKPOINTS = PROJECT_ROOT / "checkpoints"
LOCALIZER = CHECKPOINTS / "localization_mobilenet_v3_large"
OUTPUTS = {1: (1, 1), 2: (7, 7), 3: (14, 7)}
"""Logits and maps by type."""


def made(kind):
    torch.manual_seed(kind)
    return build_model("fracture", kind, "mobilenet_v3_large", head="dense").eval()


def images(n=2, size=64):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=generator)


def saved(folder: Path, kind):
    model = made(kind)
    config = BundleConfig(
        name=f"dense{kind}", task="fracture", type=kind, backbone="mobilenet_v3_large",
        head="dense", size=64, field_mm=60, crop=1.0, window_center=400, window_width=1800,
        channels="neighbours", weights_sha256="0" * 64, parameters=1, trained_on={},
        created="2026-01-01T00:00:00Z",
    )  # fmt: skip
    save_bundle(folder, model, config)
    return model, read_bundle(folder)


@pytest.mark.parametrize("kind", OUTPUTS)
def test_every_type_gives_its_logits_and_maps_of_stride_four(kind):
    logits, maps = OUTPUTS[kind]
    presence = torch.rand(2, 7)
    with torch.no_grad():
        found = made(kind)(images(), None, presence, with_maps=True)
        alone = made(kind)(images(), None, presence)
    assert found.logits.shape == (2, logits)
    assert found.maps.shape == (2, maps, 16, 16)
    torch.testing.assert_close(alone, found.logits)


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_pooling_is_its_formula_in_float64(sharpness):
    rng = np.random.default_rng(0)
    maps = rng.normal(-3, 4, (2, 3, 5, 6))
    offset = np.array([0.5, -1.0, 2.0])
    pool = LogMeanExp(3)
    with torch.no_grad():
        pool.bias.copy_(torch.from_numpy(offset))
        pool.log_sharpness.fill_(math.log(sharpness))
        found = pool(torch.from_numpy(maps).float()).numpy()
    expected = offset + np.log(np.exp(sharpness * maps).mean(axis=(2, 3))) / sharpness
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_the_pooling_is_stable_and_never_above_the_maximum():
    pool = LogMeanExp(1)
    torch.nn.init.zeros_(pool.bias)
    for low, high in ((-1e4, -1e4), (-1e4, 1e4), (0.0, 5e4)):
        maps = torch.full((1, 1, 36, 36), low)
        maps[0, 0, 3, 4] = high
        maps.requires_grad_()
        found = pool(maps)
        found.sum().backward()
        assert torch.isfinite(found).all()
        assert torch.isfinite(maps.grad).all()
        assert found.item() <= high
        assert maps.grad.sum().item() == pytest.approx(1.0, rel=5e-3)


def test_at_unit_sharpness_the_pooling_is_the_log_sum_exp():
    maps = torch.randn(2, 1, 4, 4)
    pool = LogMeanExp(1)
    with torch.no_grad():
        pool.log_sharpness.zero_()
        pool.bias.fill_(math.log(16))
    torch.testing.assert_close(pool(maps)[:, 0], maps.flatten(1).logsumexp(1))


def test_maps_are_the_line_map_gated_by_the_presence():
    model = made(2)
    presence = torch.tensor([[1.0, 0.5, 0.0, 0.01, 0.2, 1e-6, 1.0]])
    with torch.no_grad():
        maps = model(images(1), None, presence, with_maps=True).maps[0]
    expected = np.log(np.maximum(presence[0].numpy().astype(np.float64), 0.01))
    shift = (maps - maps[:1]).flatten(1).numpy()
    np.testing.assert_allclose(
        shift, np.repeat(expected[:, np.newaxis], shift.shape[1], axis=1), atol=1e-4
    )
    with pytest.raises(ValueError, match="needs presence"):
        model(images(1))


def test_type_three_gates_by_its_own_presence_which_the_fracture_loss_does_not_change():
    model = made(3)
    found = model(images(), None, torch.rand(2, 7), with_maps=True)
    own = torch.sigmoid(found.logits[:, 7:])
    shift = found.maps - found.maps[:, :1]
    gate = torch.log(own.clamp(min=0.01))
    torch.testing.assert_close(shift[:, :, 0, 0], gate - gate[:, :1], atol=1e-4, rtol=1e-4)
    found.logits[:, :7].sum().backward()
    assert model.line.weight.grad.abs().sum() > 0
    for weight in model.vertebra_head.parameters():
        assert not weight.grad.any()


def test_merging_before_enlarging_is_merging_of_the_enlarged_levels():
    torch.manual_seed(0)
    cells = CellFeatures(width=4, levels=3)
    levels = [torch.randn(1, 7, side, side) for side in (8, 4, 2)]
    wide = [
        functional.interpolate(level, size=(8, 8), mode="bilinear", align_corners=False)
        for level in levels
    ]
    weight = torch.cat([merge.weight for merge in cells.merge], dim=1)
    bias = sum(merge.bias for merge in cells.merge)
    expected = cells.active(functional.conv2d(torch.cat(wide, dim=1), weight, bias))
    found = cells(levels)
    torch.testing.assert_close(found[:, :4], expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found[:, 4:], torch.cat([one[:, -3:] for one in wide], dim=1))


def test_a_dense_network_starts_from_the_localisers_trunk_and_scores():
    bundle = read_bundle(LOCALIZER)
    model = made(1)
    taken, of = start_from_bundle(model, bundle)
    assert taken == sum(name.startswith("backbone.") for name in model.state_dict()) < of
    localizer = load_localizer(bundle)
    inputs = localizer.image_input(images())
    with torch.no_grad():
        trunk = model.eval().backbone(inputs)
        maps = list(localizer.detector.backbone(inputs).values())
        objectness, _ = localizer.detector.rpn.head(maps)
    for level, scores in enumerate(objectness):
        torch.testing.assert_close(trunk[str(level)][:, -3:], scores, atol=1e-4, rtol=1e-4)
    assert trunk[POOLED].shape == (2, model.n_features)
    with torch.no_grad():
        torch.testing.assert_close(model.features(images()), trunk[POOLED])


def test_a_frozen_backbone_keeps_its_weights_and_batch_statistics():
    model = made(2)
    model.freeze_backbone()
    model.train()
    before = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model(images(), None, torch.rand(2, 7)).sum().backward()
    optimizer.step()
    assert not any(layer.training for layer in model.backbone.modules())
    assert model.cells.training
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("kind", OUTPUTS)
def test_a_bundle_gives_the_same_after_saving_and_in_the_fast_form(tmp_path, kind):
    model, bundle = saved(tmp_path / "b", kind)
    presence = torch.rand(2, 7)
    with torch.no_grad():
        own, again = model(images(), None, presence), load_model(bundle)(images(), None, presence)
        fast = load_fast_model(bundle, "cpu", bfloat16=False)(images(), None, presence)
        half = load_fast_model(bundle, "cpu", bfloat16=True)(images(), None, presence)
    torch.testing.assert_close(again, own, atol=0.02, rtol=0.01)
    torch.testing.assert_close(fast, again, atol=1e-3, rtol=1e-3)
    assert (half - again).abs().max() < 0.3


def test_a_localiser_starts_from_a_dense_networks_backbone(tmp_path):
    _, bundle = saved(tmp_path / "b", 1)
    fresh = load_localizer(read_bundle(LOCALIZER))
    assert start_localizer(fresh, bundle) > 100
    expected = load_model(bundle).backbone.body["3"].block[0][0].weight
    assert torch.equal(fresh.detector.backbone.body["3"].block[0][0].weight, expected)


def test_bundles_written_before_there_were_heads_load_as_pooled(tmp_path):
    bundle = read_bundle(CHECKPOINTS / "vertebra_type1")
    folder = tmp_path / "old"
    folder.mkdir()
    config = bundle.config.model_dump_json(exclude={"head", "track_weights"})
    assert '"head"' not in config
    (folder / "config.json").write_text(config)
    (folder / "model.safetensors").write_bytes(bundle.weights_file.read_bytes())
    old = read_bundle(folder)
    assert not old.config.gives_maps
    assert not isinstance(load_model(old), DenseFractureType2)


def made_lines(n, size, rng):
    """Noisy squares of bone, every second one crossed by a dark line; the line's box by slice."""
    slices = rng.normal(60, 8, (n, size, size))
    slices[:, 12:-12, 12:-12] += 110
    boxes = []
    for index in range(n):
        if index % 2:
            row = int(rng.integers(18, size - 20))
            left = int(rng.integers(16, size - 36))
            slices[index, row : row + 3, left : left + 20] = 50
            boxes.append(torch.tensor([[left, row - 2, left + 20, row + 5]]) / size)
        else:
            boxes.append(torch.zeros(0, 4))
    grey = torch.from_numpy(np.clip(slices, 0, 255).astype(np.uint8))
    return grey[:, None].repeat(1, 3, 1, 1), boxes


@pytest.mark.slow
def test_a_head_on_the_frozen_trunk_learns_a_tiny_set_and_its_map_peaks_in_the_box():
    torch.manual_seed(0)
    slices, boxes = made_lines(12, 72, np.random.default_rng(0))
    fractured = torch.zeros(12, 7)
    fractured[1::2, 3] = 1.0
    model = build_model("fracture", 1, "mobilenet_v3_large", head="dense")
    start_from_bundle(model, read_bundle(LOCALIZER))
    model.freeze_backbone()
    model.train()
    criterion = loss_for("fracture", 1, head="dense")
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(weights, lr=0.01)
    with torch.no_grad():
        trunk = model.backbone(model.image_input(slices))
    for _ in range(200):
        outputs = model.outputs(trunk, None)
        totals, sums = criterion.sums(outputs.logits, fractured, fractured)
        of_maps = criterion.map_loss.sums(outputs.maps, boxes, fractured)
        loss = criterion.combine(
            torch.cat([totals, of_maps[0][None]]), torch.cat([sums, of_maps[1][None]])
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        logits, maps = model(slices, with_maps=True)
    assert logits[1::2, 0].min() > logits[::2, 0].max()
    for index in range(1, 12, 2):
        peak = int(maps[index, 0].argmax())
        cells = box_cells(boxes[index], *maps.shape[2:])
        assert cells.flatten()[peak] == 1
