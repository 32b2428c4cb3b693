"""The measures of a threshold that a bundle states."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from core.config import PROJECT_ROOT
from core.models.bundles import BundleInfo, list_bundles
from core.models.measured import Measured, measured_at
from core.models.operating_points import operating_point

HELD_OUT = {"patient": {"n": 120, "recall": 0.875, "specificity": 0.9, "threshold": 0.3}}


def bundle(metrics, folder=None, *, boxes=False):
    config = SimpleNamespace(gives_boxes=boxes, trained_on={"synthetic": True})
    return BundleInfo(folder, config, metrics=metrics)


def test_the_measures_of_the_threshold_are_told_in_words():
    found = measured_at(bundle({"held_out": HELD_OUT}), "patient", 0.3)
    assert found == Measured(0.875, 0.9, 120, True)
    assert found.sentence("patients") == (
        "At this threshold 88% of fractured patients are called (sensitivity) and 90% of the "
        "others are not (specificity), measured on 120 synthetic patients that the network was "
        "not trained on."
    )


@pytest.mark.parametrize(
    ("metrics", "threshold"),
    [
        (None, 0.3),
        ({}, 0.3),
        ({"held_out": []}, 0.3),
        ({"held_out": HELD_OUT}, 0.31),
        ({"held_out": {"patient": HELD_OUT["patient"] | {"recall": None}}}, 0.3),
        ({"held_out": {"patient": HELD_OUT["patient"] | {"n": "120"}}}, 0.3),
    ],
)
def test_nothing_is_told_of_what_was_not_measured(metrics, threshold):
    assert measured_at(bundle(metrics), "patient", threshold) is None


def test_a_localiser_states_them_beside_its_predictions(tmp_path):
    localizer = bundle({"held_out": HELD_OUT}, tmp_path, boxes=True)
    assert measured_at(localizer, "patient", 0.3) is None
    (tmp_path / "predictions").mkdir()
    file = tmp_path / "predictions" / "levels.json"
    file.write_text("{")
    assert measured_at(localizer, "patient", 0.3) is None
    file.write_text(json.dumps({"held_out": HELD_OUT, "partner": "vertebra_type1"}))
    found = measured_at(localizer, "patient", 0.3)
    assert found == Measured(0.875, 0.9, 120, True, "vertebra_type1")
    assert found.sentence("patients").endswith("not trained on, with levels by Vertebrae 1.")


def test_every_shipped_fracture_network_states_them_for_its_operating_point():
    shipped = list_bundles(PROJECT_ROOT / "checkpoints")
    able = [one for one in shipped if one.config.gives_fractures]
    assert able
    for one in able:
        point = operating_point(one, "patient")
        found = measured_at(one, "patient", point.threshold)
        assert found is not None, one.config.name
        assert found.sensitivity > 0.5
        assert found.specificity > 0.5
