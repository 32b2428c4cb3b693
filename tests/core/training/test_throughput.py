"""A pace is measured in seconds."""

from __future__ import annotations

import pytest

from core.config import RunConfig
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
