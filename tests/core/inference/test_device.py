from __future__ import annotations

import pytest
import torch

from core.errors import DeviceError
from core.inference.device import pick_device


@pytest.fixture
def machine(monkeypatch):
    """Pretend which accelerators PyTorch finds."""

    def pretend(*, cuda: int = 0, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(0, False, "cpu"), (0, True, "mps"), (1, False, "cuda"), (2, True, "cuda")],
)
def test_auto_prefers_cuda_then_mps_then_cpu(machine, cuda, mps, expected):
    machine(cuda=cuda, mps=mps)
    assert pick_device() == expected


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:1", "mps"])
def test_a_device_that_is_there_is_taken_as_named(machine, name):
    machine(cuda=2, mps=True)
    assert pick_device(name) == name


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps"])
def test_an_absent_device_says_what_to_choose(machine, name):
    machine()
    with pytest.raises(DeviceError, match="choose auto or cpu"):
        pick_device(name)


def test_a_gpu_beyond_the_last_is_refused(machine):
    machine(cuda=1)
    with pytest.raises(DeviceError, match="cuda:1"):
        pick_device("cuda:1")


@pytest.mark.parametrize("name", ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0", "CPU"])
def test_an_unknown_name_is_refused(machine, name):
    machine(cuda=1, mps=True)
    with pytest.raises(DeviceError, match="no device named"):
        pick_device(name)
