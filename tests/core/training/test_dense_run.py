"""A run of a dense network: boxes reach the batch, parts give the whole gradient, and a bundle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from pydantic import ValidationError

from core.config import PROJECT_ROOT, RunConfig, SlicePreparation
from core.dataset.rsna import read_studies
from core.models.bundles import read_bundle
from core.models.checkpoint import load_model, start_from_bundle
from core.models.dense import DenseModel
from core.models.registry import build_model
from core.prepared.box_slices import load_box_slices, with_boxes
from core.prepared.slice_dataset import SliceDataset
from core.prepared.slices import load_study_slices
from core.preprocessing.augmentation import Augmentation
from core.training.losses import loss_for
from core.training.slice_engine import add_slice_gradients
from core.training.trainer import train
from tests.stores import made_store

PREPARATION = SlicePreparation(size=64, field_mm=90, channels="neighbours")
LOCALIZER = PROJECT_ROOT / "checkpoints" / "localization_mobilenet_v3_large"


def config(root, **changes):
    values = {
        "task": "fracture", "type": 2, "head": "dense", "data_root": root, "size": 64,
        "field_mm": 90, "channels": "neighbours", "fracture_target": "line", "balanced": True,
        "batch_size": 8, "slices_per_study": 4, "fold": None, "device": "cpu", "augment": True,
        "freeze_backbone": True, "init_from": LOCALIZER,
    }  # fmt: skip
    return RunConfig(**(values | changes))


@pytest.fixture(scope="module")
def boxed(phantom_root, tmp_path_factory):
    """The slices of the boxed studies of a small cohort, with their boxes."""
    store = made_store(tmp_path_factory.mktemp("cache"))
    records = [record for record in read_studies(phantom_root) if record.boxes]
    studies = [
        with_boxes(load_study_slices(r, PREPARATION, store=store), r, PREPARATION, store=store)
        for r in records
    ]
    squares = [load_box_slices(r, PREPARATION, store=store) for r in records]
    return SliceDataset(studies, "fracture", target="line"), squares


@pytest.mark.slow
def test_a_batch_has_the_boxes_of_its_slices_as_fractions(boxed):
    data, squares = boxed
    first = squares[0]
    batch = data.batch(np.arange(first.n_slices))
    for index, found in enumerate(batch.boxes):
        expected = first.boxes.get(index, np.zeros((0, 4))) / 64
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    np.testing.assert_array_equal(batch.images[:, 1], np.asarray(first.images))


def test_a_mirrored_slice_has_mirrored_boxes(boxed):
    data, squares = boxed
    row = min(squares[0].boxes)
    plain, mirrored = (
        data.batch(np.array([row]), changes).boxes[0].numpy()
        for changes in (None, [Augmentation(flip=True)])
    )
    expected = np.clip(plain, 0, 1)
    expected[:, [0, 2]] = 1 - expected[:, [2, 0]]
    np.testing.assert_allclose(mirrored, expected, atol=1e-6)


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_parts_of_a_batch_have_the_gradient_of_the_whole(boxed, kind):
    data, squares = boxed
    rows = np.array([*sorted(squares[0].boxes)[:3], 0, 1, 2])
    batch = data.batch(rows)
    torch.manual_seed(0)
    model = build_model("fracture", kind, "mobilenet_v3_large", head="dense").eval()
    fabric = Fabric(accelerator="cpu")
    wrapped = fabric.setup(model)
    found = []
    for parts in (1, 3):
        model.zero_grad()
        criterion = loss_for("fracture", kind, 2.0, "dense")
        value, used = add_slice_gradients(fabric, wrapped, batch, parts, criterion=criterion)
        gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        found.append((value, gradient))
        assert used == parts
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-4, atol=0)
    scale = found[0][1].abs().max()
    torch.testing.assert_close(found[0][1] / scale, found[1][1] / scale, atol=1e-3, rtol=1e-3)


@pytest.mark.training
def test_a_run_trains_the_head_alone_and_leaves_a_dense_bundle(phantom_root, tmp_path):
    folder = train(config(phantom_root), tmp_path / "run", store=made_store(tmp_path / "cache"))
    bundle = read_bundle(folder)
    assert bundle.config.gives_maps
    assert bundle.config.name == "fracture_type2_mobilenet_v3_large_dense"
    model = load_model(bundle)
    assert isinstance(model, DenseModel)
    trunk = read_bundle(LOCALIZER)
    expected = build_model("fracture", 2, "mobilenet_v3_large", head="dense")
    start_from_bundle(expected, trunk)
    for name, value in expected.backbone.state_dict().items():
        torch.testing.assert_close(model.backbone.state_dict()[name], value, atol=1e-3, rtol=1e-3)
    assert not torch.equal(model.line.weight, expected.line.weight)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": "vertebra", "type": 1}, "the head of Vertebra detection is pooled"),
        ({"backbone": "googlenet"}, "is mobilenet_v3_large or resnet50"),
        ({"field_mm": None}, "set field_mm"),
    ],
)
def test_configs_that_no_dense_network_takes_are_refused(tmp_path, changes, words):
    with pytest.raises(ValidationError, match=words):
        config(tmp_path, **changes)
