"""A pace is measured in seconds, kept, and found again."""

from __future__ import annotations

import pytest

from core.config import RunConfig
from core.training.schedule import Pace
from core.training.throughput import FILE, KEPT, keep_pace, measure_pace, read_paces


@pytest.mark.parametrize(("type", "channels"), [(1, "grey"), (3, "windows")])
def test_the_pace_of_a_network_is_measured_without_data(type, channels):
    config = RunConfig(
        task="fracture", type=type, data_root="/nowhere", size=32, batch_size=4,
        channels=channels, backbone="shufflenet_v2_x2_0", device="cpu",
    )  # fmt: skip
    pace = measure_pace(config, steps=1)
    assert (pace.backbone, pace.size, pace.precision) == ("shufflenet_v2_x2_0", 32, "32-true")
    assert 0 < pace.images_per_second < 1e6


def test_the_latest_pace_of_a_network_takes_the_place_of_its_earlier_one(tmp_path):
    for speed in (1.0, 2.0):
        keep_pace(tmp_path, Pace("googlenet", 64, "32-true", speed))
    keep_pace(tmp_path, Pace("googlenet", 128, "32-true", 3.0))
    assert [(p.size, p.images_per_second) for p in read_paces(tmp_path)] == [(128, 3.0), (64, 2.0)]


def test_a_missing_or_broken_list_is_an_empty_one_and_it_does_not_grow_for_ever(tmp_path):
    assert read_paces(tmp_path) == []
    (tmp_path / FILE).write_text("[{")
    assert read_paces(tmp_path) == []
    for size in range(KEPT + 3):
        keep_pace(tmp_path, Pace("googlenet", size, "32-true", 1.0))
    assert len(read_paces(tmp_path)) == KEPT
