import pytest
import torch

from core.errors import ConfigError
from core.models.image_input import GreyToBackboneInput
from core.models.registry import build_model


@pytest.mark.parametrize(("task", "outputs"), [("vertebra", 7), ("fracture", 1)])
@pytest.mark.parametrize("backbone", ["mobilenet_v3_large", "googlenet"])
def test_type_1_turns_uint8_slices_into_logits(task, outputs, backbone):
    model = build_model(task, 1, backbone).eval()
    images = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)
    with torch.inference_mode():
        logits = model(images)
    assert logits.shape == (3, outputs)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


def test_eval_mode_scores_a_slice_the_same_alone_and_in_a_batch():
    torch.manual_seed(0)
    model = build_model("fracture", 1, "mobilenet_v3_large").eval()
    images = torch.randint(0, 256, (4, 32, 32), dtype=torch.uint8)
    with torch.inference_mode():
        torch.testing.assert_close(model(images)[2:3], model(images[2:3]), rtol=1e-4, atol=1e-5)


def test_gradients_reach_every_weight():
    model = build_model("vertebra", 1, "mobilenet_v3_large")
    model(torch.randint(0, 256, (4, 64, 64), dtype=torch.uint8)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(("task", "kind"), [("vertebra", 3), ("fracture", 2), ("spine", 1)])
def test_unknown_model_is_answered_with_the_known_ones(task, kind):
    with pytest.raises(ConfigError, match="vertebra type 1, fracture type 1"):
        build_model(task, kind, "mobilenet_v3_large")


def test_input_is_scaled_repeated_and_normalised():
    layer = GreyToBackboneInput((0.5, 0.25, 0.0), (0.5, 1.0, 2.0))
    images = torch.tensor([[[0, 255]]], dtype=torch.uint8)
    expected = torch.tensor([[[[-1.0, 1.0]], [[-0.25, 0.75]], [[0.0, 0.5]]]])
    torch.testing.assert_close(layer(images), expected)
    assert not layer.state_dict()
