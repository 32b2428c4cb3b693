"""Where a threshold comes from, in words."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from core.models.bundles import BundleInfo
from core.models.operating_points import operating_point, shipped_point

SHIPPED = {
    "patient": {"threshold": 0.4, "rule": "highest F1"},
    "vertebra": {"threshold": 0.2, "rule": "highest F1", "chosen_on": "240 studies"},
    "chosen_on": "out-of-fold predictions",
}


def bundle(team=None, shipped=SHIPPED):
    return BundleInfo(Path(), SimpleNamespace(), operating_points=shipped, team_points=team)


@pytest.mark.parametrize(
    ("team", "level", "named", "history"),
    [
        (None, "patient", "highest F1, shipped",
         "Shipped: 0.400, chosen by the rule “highest F1” on out-of-fold predictions."),
        (None, "vertebra", "highest F1, shipped",
         "Shipped: 0.200, chosen by the rule “highest F1” on 240 studies."),
        ({"patient": {"threshold": 0.7, "rule": "Youden", "saved": "2026-05-04T10:00:00Z",
                      "by": "chief", "data": "Demo cohort, 12 studies"}},
         "patient", "Youden, set by chief on 2026-05-04",
         "Set by chief on 2026-05-04: 0.700, chosen by the rule “Youden” on Demo cohort, 12 "
         "studies."),
        ({"patient": {"threshold": 0.7, "rule": "set by hand", "saved": "2026-05-04T10:00:00Z",
                      "data": "Demo cohort, 12 studies"}},
         "patient", "set by an operator on 2026-05-04",
         "Set by an operator on 2026-05-04: 0.700, chosen by hand on Demo cohort, 12 studies."),
        (None, "slice", "no operating point", "0.5, as the network has no operating point."),
    ],
)  # fmt: skip
def test_a_threshold_is_told_with_its_origin(team, level, named, history):
    point = operating_point(bundle(team), level)
    assert (point.named, point.history) == (named, history)
    assert point.set_here == (team is not None)


def test_the_shipped_threshold_is_known_beside_that_of_the_installation():
    team = {"patient": {"threshold": 0.7, "rule": "Youden", "saved": "2026-05-04T10:00:00Z"}}
    assert operating_point(bundle(team), "patient").threshold == 0.7
    assert shipped_point(bundle(team), "patient").threshold == 0.4
