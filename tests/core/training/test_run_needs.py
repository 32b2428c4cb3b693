"""Memory and disk are estimated from tables that agree with torch."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from core.config import RunConfig
from core.constants import TASK_FACTS, NetworkName
from core.models.registry import build_model
from core.training.run_needs import LOCALIZERS, NETWORKS, network_size, run_needs

MIB = 1 << 20


def config(**changes):
    given = {"task": "fracture", "backbone": "mobilenet_v3_large", "size": 224, "data_root": "/d"}
    return RunConfig(**given | {"fold": None} | changes)


def test_every_network_has_a_size():
    assert set(NETWORKS) == set(get_args(NetworkName))
    assert set(LOCALIZERS) == set(TASK_FACTS["localization"].backbones)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["mobilenet_v3_large", "resnet50", "shufflenet_v2_x2_0"])
def test_the_table_agrees_with_the_tensors_that_torch_saves(backbone):
    network = build_model("fracture", 1, backbone).train()
    fixed = [*network.parameters(), *network.buffers()]
    own = {tensor.untyped_storage().data_ptr() for tensor in fixed}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        logits = network(torch.zeros(2, 3, 224, 224), torch.zeros(2, 3))
    size = NETWORKS[backbone]
    assert logits.requires_grad
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(size.parameters, rel=0.02)
    assert sum(kept.values()) / 2 == pytest.approx(size.activations, rel=0.1)


def test_memory_grows_with_the_batch_and_shrinks_with_its_parts():
    """mobilenet_v3_large: 3.2e6 weights, four times (gradient, Adam), and 42 MiB per image."""
    found = run_needs(config(batch_size=8), 1000, 10)
    assert found.memory_bytes == 3.2e6 * 4 * 4 + 8 * 42 * MIB
    parts = run_needs(config(batch_size=8, accumulate=4), 1000, 10)
    assert parts.memory_bytes == 3.2e6 * 4 * 4 + 2 * 42 * MIB
    half = run_needs(config(batch_size=8, size=112, precision="bf16-mixed"), 1000, 10)
    assert half.memory_bytes == 3.2e6 * 4 * 4 + 8 * 42 * MIB / 8


def test_disk_holds_the_prepared_slices_and_each_folds_checkpoint():
    one = run_needs(config(), 1000, 10)
    assert one.prepared_bytes == 1000 * 224**2
    # Bundle, weights and Adam's two moments.
    assert one.run_bytes == 4 * 4 * 3.2e6
    assert one.disk_bytes == one.run_bytes + one.prepared_bytes
    every = run_needs(config(fold="all", folds=5, channels="windows", ema_decay=0.9), 1000, 10)
    assert every.prepared_bytes == 3 * 1000 * 224**2
    # And the average, and the best epoch.
    assert every.run_bytes == 5 * 6 * 4 * 3.2e6


def test_a_pyramid_counts_for_localisers_and_dense_heads_and_planes_for_a_segmenter():
    dense = config(head="dense", field_mm=90, size=128)
    assert network_size(dense) == LOCALIZERS["mobilenet_v3_large"]
    assert network_size(config(task="localization")) == LOCALIZERS["mobilenet_v3_large"]
    grids = RunConfig(task="segmentation", data_root="/d", fold=None)
    assert run_needs(grids, 1000, 10).prepared_bytes == 10 * 100 * 56**2 * 2
