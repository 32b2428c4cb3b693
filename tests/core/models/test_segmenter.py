"""The network keeps the shape of any grid, and its bundle gives the same outputs."""

from __future__ import annotations

import pytest
import torch

from core.errors import BundleError
from core.models.bundles import read_bundle
from core.models.checkpoint import load_model, save_bundle
from core.models.segmenter import DILATIONS, N_CLASSES, Segmenter, load_segmenter


@pytest.fixture(scope="module")
def bundle(untrained_segmenter):
    return read_bundle(untrained_segmenter / "segmentation-untrained")


def grids(*shape):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("shape", [(1, 5, 32, 32), (2, 24, 40, 40), (1, 33, 35, 36)])
def test_every_voxel_of_any_grid_is_scored(bundle, shape):
    with torch.inference_mode():
        logits = load_segmenter(bundle)(grids(*shape))
    assert logits.shape == (shape[0], N_CLASSES, *shape[1:])
    assert bool(torch.isfinite(logits).all())


def test_a_batch_gives_what_its_grids_give_alone(bundle):
    model, both = load_segmenter(bundle), grids(2, 16, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(model(both)[1:], model(both[1:]), rtol=1e-3, atol=1e-3)


def test_each_voxel_sees_the_whole_neck():
    """Down three strides and through the dilated layers: the field is over 200 mm long."""
    assert 2 * 16 * sum(DILATIONS) >= 200


def test_a_bundle_loads_with_its_weights_to_half_precision(tmp_path, bundle):
    torch.manual_seed(3)
    model = Segmenter().eval()
    save_bundle(tmp_path / "b", model, bundle.config)
    loaded = load_segmenter(read_bundle(tmp_path / "b"))
    assert (tmp_path / "b" / "model.safetensors").stat().st_size < 8 << 20
    with torch.inference_mode():
        probs = [one(grids(1, 16, 32, 32)).softmax(1) for one in (model, loaded)]
    torch.testing.assert_close(*probs, rtol=0, atol=0.02)


def test_a_segmenter_is_no_slice_network(bundle):
    with pytest.raises(BundleError, match="does not fit"):
        load_model(bundle)
