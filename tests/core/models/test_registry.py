import pytest
import torch

from core.errors import ConfigError
from core.models.backbone_table import BACKBONES
from core.models.registry import MODELS, build_model
from core.models.slice_model import ImageInput
from core.training.losses import loss_for

OUTPUTS = {("fracture", 1): 1, ("fracture", 3): 14}
SLOW = {"regnet_y_8gf", "vgg16_bn"}
TYPES = list(MODELS)


def _inputs(n, side=32, channels=1):
    generator = torch.Generator().manual_seed(1)
    shape = (n, side, side) if channels == 1 else (n, channels, side, side)
    return (
        torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator),
        torch.rand(n, 3, generator=generator),
        torch.rand(n, 7, generator=generator),
    )


@pytest.mark.training
@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_every_backbone_builds_trains_one_step_and_predicts(backbone):
    torch.manual_seed(0)
    side = {"alexnet": 64, "inception_v3": 80}.get(backbone, 32)
    model = build_model("fracture", 3, backbone, size=side)
    images, _, presence = _inputs(2, side, channels=3)
    first = next(model.backbone.parameters())
    before = first.detach().clone()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss = loss_for("fracture", 3)(model(images), presence, presence * (presence > 0.5))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(first.grad).all()
    assert first.grad.abs().max() > 0
    optimizer.step()
    assert not torch.equal(first, before)
    with torch.inference_mode():
        logits = model.eval()(images)
    assert logits.shape == (2, 14)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize(("task", "kind"), TYPES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_type_turns_uint8_slices_into_logits(task, kind, channels):
    model = build_model(task, kind, "shufflenet_v2_x2_0").eval()
    with torch.inference_mode():
        logits = model(*_inputs(3, channels=channels))
    assert logits.shape == (3, OUTPUTS.get((task, kind), 7))
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize(("task", "kind"), TYPES)
def test_gradients_reach_every_weight(task, kind):
    model = build_model(task, kind, "mobilenet_v3_large")
    model(*_inputs(4, 64)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize(("task", "kind"), TYPES)
def test_every_type_runs_in_bfloat16(task, kind):
    model = build_model(task, kind, "shufflenet_v2_x2_0").eval()
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(*_inputs(2))
    assert torch.isfinite(logits).all()


def test_metadata_moves_vertebra_type_2_and_presence_moves_fracture_type_2():
    images, metadata, presence = _inputs(2)
    vertebra = build_model("vertebra", 2, "mobilenet_v3_large").eval()
    fracture = build_model("fracture", 2, "mobilenet_v3_large").eval()
    with torch.inference_mode():
        assert not torch.equal(vertebra(images, metadata), vertebra(images, metadata + 1))
        assert torch.equal(vertebra(images, metadata), vertebra(images, metadata, presence))
        assert not torch.equal(
            fracture(images, presence=presence), fracture(images, presence=1 - presence)
        )


def test_a_type_that_lacks_its_second_input_says_which():
    images, metadata, presence = _inputs(2)
    with pytest.raises(ValueError, match="needs metadata"):
        build_model("vertebra", 2, "mobilenet_v3_large")(images, presence=presence)
    with pytest.raises(ValueError, match="needs presence"):
        build_model("fracture", 2, "mobilenet_v3_large")(images, metadata)


def test_a_grey_slice_equals_three_equal_channels():
    model = build_model("fracture", 3, "mobilenet_v3_large").eval()
    images, _, _ = _inputs(2)
    with torch.inference_mode():
        thrice = model(images.unsqueeze(1).repeat(1, 3, 1, 1))
        assert torch.equal(model(images), thrice)


def test_type_3_gives_fractures_before_vertebrae():
    model = build_model("fracture", 3, "mobilenet_v3_large").eval()
    of_fracture, of_vertebra = model.output_layers
    with torch.no_grad():
        of_fracture.bias += 100
        of_vertebra.bias -= 100
    with torch.inference_mode():
        logits = model(_inputs(2)[0])
    assert (logits[:, :7] > 50).all()
    assert (logits[:, 7:] < -50).all()


def test_eval_mode_scores_a_slice_the_same_alone_and_in_a_batch():
    torch.manual_seed(0)
    model = build_model("fracture", 1, "mobilenet_v3_large").eval()
    images, _, _ = _inputs(4)
    with torch.inference_mode():
        torch.testing.assert_close(model(images)[2:3], model(images[2:3]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("task", ["vertebra", "fracture"])
def test_type_1_keeps_the_names_of_its_weights(task):
    names = build_model(task, 1, "googlenet").state_dict().keys()
    assert {name.split(".")[0] for name in names} == {"backbone", "head"}
    assert [name for name in names if name.startswith("head")] == [
        "head.0.weight", "head.0.bias", "head.1.weight", "head.3.weight", "head.3.bias"
    ]  # fmt: skip


@pytest.mark.parametrize(("task", "kind"), [("vertebra", 3), ("fracture", 4), ("spine", 1)])
def test_an_unknown_model_lists_the_known_ones(task, kind):
    with pytest.raises(ConfigError, match="vertebra type 1, vertebra type 2, fracture type 1"):
        build_model(task, kind, "mobilenet_v3_large")


def test_a_size_the_backbone_does_not_take_is_refused():
    with pytest.raises(ConfigError, match="at least 75 pixels"):
        build_model("vertebra", 1, "inception_v3", size=64)


def test_input_is_scaled_repeated_and_normalised():
    layer = ImageInput((0.5, 0.25, 0.0), (0.5, 1.0, 2.0))
    images = torch.tensor([[[0, 255]]], dtype=torch.uint8)
    expected = torch.tensor([[[[-1.0, 1.0]], [[-0.25, 0.75]], [[0.0, 0.5]]]])
    torch.testing.assert_close(layer(images), expected)
    assert not layer.state_dict()


def test_three_channels_keep_their_places():
    layer = ImageInput((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    torch.testing.assert_close(layer(images).flatten(), torch.tensor([0.0, 0.2, 1.0]))
