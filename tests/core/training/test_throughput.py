"""A pace is measured in seconds."""

from __future__ import annotations

import time

import pytest

from core.config import RunConfig
from core.prepared.slice_dataset import SliceDataset
from core.training.throughput import measure_pace


@pytest.mark.parametrize(("type", "channels"), [(1, "grey"), (3, "windows")])
def test_the_pace_of_a_network_is_measured_without_data(type, channels):
    config = RunConfig(
        task="fracture", type=type, data_root="/nowhere", size=32, batch_size=4,
        channels=channels, backbone="shufflenet_v2_x2_0", device="cpu",
    )  # fmt: skip
    pace = measure_pace(config, steps=1)
    assert (pace.backbone, pace.size, pace.precision) == ("shufflenet_v2_x2_0", 32, "32-true")
    assert 0 < pace.images_per_second < 1e6
    assert 0 <= pace.loader_share < 1


def test_the_pace_of_a_localiser_is_measured_too():
    config = RunConfig(
        task="localization", data_root="/nowhere", size=64, batch_size=4, channels="neighbours",
        augment=True, device="cpu", loader_workers=0,
    )  # fmt: skip
    pace = measure_pace(config, steps=1)
    assert (pace.backbone, pace.precision) == ("mobilenet_v3_large", "32-true")
    # Without a thread ahead, the time of the loader is never nothing.
    assert 0 < pace.loader_share < 1


def test_the_pace_of_a_segmenter_is_measured_too():
    config = RunConfig(
        task="segmentation", data_root="/nowhere", size=32, field_mm=64, batch_size=2,
        augment=True, device="cpu",
    )  # fmt: skip
    pace = measure_pace(config, steps=1)
    assert (pace.backbone, pace.size) == ("unet3d", 32)
    assert pace.images_per_second > 0


def test_a_slow_loader_slows_the_pace(monkeypatch):
    config = RunConfig(
        task="vertebra", data_root="/nowhere", size=32, batch_size=4, device="cpu",
        backbone="shufflenet_v2_x2_0", loader_workers=0,
    )  # fmt: skip
    gather = SliceDataset.batch

    def slow(*args, **options):
        time.sleep(1.0)
        return gather(*args, **options)

    monkeypatch.setattr(SliceDataset, "batch", slow)
    pace = measure_pace(config, steps=1)
    assert pace.images_per_second < 4
    assert pace.loader_share > 0.5
