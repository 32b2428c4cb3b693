import pytest
import torch
from torch import nn

from core.models import fast_model
from core.models.backbone_table import BACKBONES
from core.models.bundles import UNSAVED_SHA256, BundleConfig, BundleInfo
from core.models.fast_model import HalfBackbone, load_fast_model
from core.models.registry import build_model

SIDE = 64


@pytest.fixture
def loads(monkeypatch, tmp_path):
    """Make bundles of fresh models load without a file; gives (bundle, plain model)."""

    def make(task, kind, backbone):
        torch.manual_seed(0)
        plain = build_model(task, kind, backbone)
        # Statistics of real batches, else deep untrained networks answer with zeros.
        with torch.no_grad():
            plain.train()(*_inputs(2, backbone))
        plain.eval()
        monkeypatch.setattr(fast_model, "load_model", lambda _bundle, _device: plain)
        config = BundleConfig(
            name="made", task=task, type=kind, backbone=backbone, size=96, crop=1.0,
            window_center=400, window_width=1800, weights_sha256=UNSAVED_SHA256, parameters=1,
            trained_on={}, created="2026-01-01T00:00:00+00:00",
        )  # fmt: skip
        with torch.inference_mode():
            before = plain(*_inputs(2, backbone))
        return BundleInfo(tmp_path, config), before

    return make


def _inputs(n, backbone="mobilenet_v3_large"):
    side = max(SIDE, BACKBONES[backbone].min_size)
    generator = torch.Generator().manual_seed(n)
    return (
        torch.randint(0, 256, (n, side, side), dtype=torch.uint8, generator=generator),
        torch.rand(n, 3, generator=generator),
        torch.rand(n, 7, generator=generator),
    )


@pytest.mark.slow
@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_every_backbone_answers_the_same_when_folded(loads, backbone):
    bundle, before = loads("fracture", 3, backbone)
    fast = load_fast_model(bundle, "cpu", bfloat16=False)
    with torch.inference_mode():
        after = fast(*_inputs(2, backbone))
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-4)


def test_batch_norms_after_convolutions_are_gone(loads):
    bundle, _ = loads("vertebra", 1, "mobilenet_v3_large")
    fast = load_fast_model(bundle, "cpu", bfloat16=False)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in fast.modules())
    assert not fast.training
    assert not any(p.requires_grad for p in fast.parameters())


@pytest.mark.parametrize(("task", "kind"), [("vertebra", 2), ("fracture", 2), ("fracture", 3)])
def test_bfloat16_backbone_keeps_a_float32_head(loads, task, kind):
    bundle, before = loads(task, kind, "mobilenet_v3_large")
    fast = load_fast_model(bundle, "cpu", bfloat16=True)
    assert isinstance(fast.backbone, HalfBackbone)
    assert {p.dtype for p in fast.backbone.parameters()} == {torch.bfloat16}
    with torch.inference_mode():
        logits = fast(*_inputs(2))
    assert logits.dtype == torch.float32
    assert not torch.equal(logits, before)
    torch.testing.assert_close(logits, before, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("supported", [True, False])
def test_bfloat16_follows_the_hardware_unless_set(loads, monkeypatch, supported):
    monkeypatch.setattr(fast_model, "computes_in_bfloat16", lambda _device: supported)
    bundle, _ = loads("vertebra", 1, "mobilenet_v3_large")
    assert isinstance(load_fast_model(bundle, "cpu").backbone, HalfBackbone) is supported


def test_unknown_hardware_support_means_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    assert not fast_model.computes_in_bfloat16("cpu")
    assert not fast_model.computes_in_bfloat16("mps")
