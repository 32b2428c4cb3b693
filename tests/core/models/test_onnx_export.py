from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from core.config import SlicePreparation
from core.errors import BundleError
from core.models.bundles import UNSAVED_SHA256, BundleConfig, EnsembleConfig, read_bundle
from core.models.checkpoint import load_model, save_bundle
from core.models.localizer import Localizer
from core.models.localizer_bundle import load_localizer
from core.models.onnx_export import export_onnx
from core.models.onnx_model import OnnxModel
from core.models.registry import build_model

pytestmark = pytest.mark.slow
SIZE = 64
ANCHORS = tuple(((side, side), (side / 2, side)) for side in (8.0, 16.0, 32.0))


def _bundle(folder: Path, task: str, type_: int, *, head: str = "pooled", channels: str = "grey"):
    config = BundleConfig(
        name=f"{task}-{type_}", task=task, type=type_, backbone="mobilenet_v3_large", head=head,
        preparation=SlicePreparation(size=SIZE, channels=channels), anchors=None,
        weights_sha256=UNSAVED_SHA256, parameters=1, trained_on={}, created="2026-01-01T00:00:00Z",
    )  # fmt: skip
    torch.manual_seed(type_)
    model = build_model(task, type_, "mobilenet_v3_large", head=head, size=SIZE)
    save_bundle(folder / config.name, _settled(model), config)
    return read_bundle(folder / config.name)


def _settled(model: nn.Module) -> nn.Module:
    """The model with statistics of a few pictures, so that its outputs depend on them."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        for _ in range(3):
            pictures = torch.randint(0, 256, (4, SIZE, SIZE), dtype=torch.uint8)
            model(pictures, torch.rand(4, 3), torch.rand(4, 7))
    return model.eval()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A pooled fracture network of Type 1, and its file."""
    folder = tmp_path_factory.mktemp("exported")
    bundle = _bundle(folder, "fracture", 1)
    return bundle, export_onnx(bundle, folder / "made.onnx")


def test_a_pooled_network_gives_the_same_logits(exported):
    bundle, done = exported
    pictures = torch.randint(0, 256, (5, SIZE, SIZE), dtype=torch.uint8)
    expected = load_model(bundle)(pictures)
    assert expected.std() > 1e-3
    torch.testing.assert_close(OnnxModel(bundle, done.file)(pictures), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("task", "type_", "head", "channels", "inputs"),
    [
        ("vertebra", 2, "pooled", "neighbours", ("images", "metadata")),
        ("fracture", 2, "dense", "neighbours", ("images", "presence")),
        ("fracture", 3, "dense", "grey", ("images",)),
    ],
)
def test_a_slice_network_gives_the_same_logits_in_batches_of_any_size(
    tmp_path, task, type_, head, channels, inputs
):
    bundle = _bundle(tmp_path, task, type_, head=head, channels=channels)
    done = export_onnx(bundle, tmp_path / "made.onnx")
    assert done.inputs == inputs
    assert done.largest_difference < 1e-4
    model, exported = load_model(bundle), OnnxModel(bundle, done.file)
    shape = (5, SIZE, SIZE) if channels == "grey" else (5, 3, SIZE, SIZE)
    given = (
        torch.randint(0, 256, shape, dtype=torch.uint8),
        torch.rand(5, 3) if "metadata" in inputs else None,
        torch.rand(5, 7) if "presence" in inputs else None,
    )
    with torch.inference_mode():
        expected = model(*given)
    assert expected.std() > 1e-3
    torch.testing.assert_close(exported(*given), expected, atol=1e-4, rtol=0)
    if len(inputs) == 2:
        with pytest.raises(ValueError, match=inputs[1]):
            exported(given[0])


def test_the_file_says_how_slices_are_prepared_and_which_weights_it_holds(exported):
    bundle, done = exported
    made = onnx.load(str(done.file))
    facts = {one.key: one.value for one in made.metadata_props}
    assert SlicePreparation(**json.loads(facts["preparation"])) == bundle.config.preparation
    assert facts["weights_sha256"] == bundle.config.weights_sha256
    assert "not for clinical use" in made.doc_string


def test_a_localiser_gives_the_same_boxes(tmp_path):
    config = BundleConfig(
        name="boxes", task="localization", type=1, backbone="mobilenet_v3_large",
        preparation=SlicePreparation(size=SIZE, channels="neighbours"), anchors=ANCHORS,
        weights_sha256=UNSAVED_SHA256, parameters=1, trained_on={}, created="2026-01-01T00:00:00Z",
    )  # fmt: skip
    torch.manual_seed(0)
    fresh = Localizer(config.backbone, ANCHORS, size=SIZE)
    # Boxes that count: an untrained classifier is undecided, and so above the lowest score.
    save_bundle(tmp_path / "boxes", fresh, config, half=False)
    bundle = read_bundle(tmp_path / "boxes")
    done = export_onnx(bundle, tmp_path / "boxes.onnx")
    assert done.outputs == ("boxes", "scores")
    picture = torch.randint(0, 256, (1, 3, SIZE, SIZE), dtype=torch.uint8)
    session = onnxruntime.InferenceSession(str(done.file), providers=["CPUExecutionProvider"])
    boxes, scores = session.run(["boxes", "scores"], {"images": picture.numpy()})
    with torch.inference_mode():
        (expected,) = load_localizer(bundle)(picture)
    assert len(scores) > 0
    np.testing.assert_allclose(boxes, expected.xyxy.numpy(), atol=1e-3)
    np.testing.assert_allclose(scores, expected.scores.numpy(), atol=1e-4)


def test_a_network_that_differs_is_not_written(exported, tmp_path, monkeypatch):
    bundle, _ = exported
    other = load_model(bundle)
    with torch.no_grad():
        other.head[-1].bias += 0.01
    right = torch.onnx.export
    monkeypatch.setattr(torch.onnx, "export", lambda _, *a, **k: right(other, *a, **k))
    with pytest.raises(BundleError, match=r"differs in ONNX by 1\.0e-02"):
        export_onnx(bundle, tmp_path / "made.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_other_weights_or_damaged_is_refused(exported, tmp_path):
    bundle, done = exported
    other = _bundle(tmp_path / "two", "vertebra", 1)
    with pytest.raises(BundleError, match="was not exported from bundle vertebra-1"):
        OnnxModel(other, done.file)
    (tmp_path / "made.onnx").write_bytes(b"no graph")
    with pytest.raises(BundleError, match="cannot be read as ONNX"):
        OnnxModel(bundle, tmp_path / "made.onnx")
    with pytest.raises(BundleError, match="cannot be read as ONNX"):
        OnnxModel(bundle, tmp_path / "none.onnx")


def test_an_ensemble_has_no_network_to_export(exported, tmp_path):
    bundle, _ = exported
    ensemble = replace(bundle, config=EnsembleConfig.model_construct(name="both"))
    with pytest.raises(BundleError, match="both is an ensemble"):
        export_onnx(ensemble, tmp_path / "made.onnx")


def test_a_segmenter_is_refused(untrained_segmenter, tmp_path):
    bundle = read_bundle(untrained_segmenter / "segmentation-untrained")
    with pytest.raises(BundleError, match="is a segmenter"):
        export_onnx(bundle, tmp_path / "made.onnx")
    assert not (tmp_path / "made.onnx").exists()
