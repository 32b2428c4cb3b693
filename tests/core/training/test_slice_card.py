"""A bundle's card shows its inputs, outputs and training."""

from pathlib import Path

import pytest

from core.config import PROJECT_ROOT
from core.experiments.real_scan_text import stored_checks, with_section
from core.models.bundles import BundleConfig, BundleInfo, list_bundles
from core.training.trainer import TRAINING_TASKS

METRICS = {
    "cohort": {
        "train": {"studies": 480, "seed": 11},
        "folds": {"studies": 240, "seed": 31},
        "held_out": {"studies": 120, "seed": 23},
    },
    "partner": "partner",
    "held_out": {
        "patient": {"auc": 0.9, "threshold": 0.25, "intervals": {"auc": [0.8, 0.95], "f1": None}}
    },
}


def _card(task, kind, run=None, **changes):
    values = {"task": task, "type": kind, "backbone": "swin_s"} | (run or {})
    config = BundleConfig(
        name="made", task=task, type=kind, backbone="swin_s", size=128, crop=0.75,
        window_center=400, window_width=1800, weights_sha256="0" * 64, parameters=1234567,
        trained_on={"run": values}, created="2026-01-01T00:00:00+00:00", **changes,
    )  # fmt: skip
    return TRAINING_TASKS[task].card(BundleInfo(Path("made"), config), METRICS)


@pytest.mark.parametrize("name", ["vertebra_type1", "vertebra_type2", "fracture_type1",
                                  "fracture_type2", "fracture_type3"])  # fmt: skip
def test_the_shipped_cards_follow_from_the_shipped_bundles(name):
    shipped = {bundle.folder.name: bundle for bundle in list_bundles(PROJECT_ROOT / "checkpoints")}
    bundle = shipped[name]
    card = TRAINING_TASKS[bundle.config.task].card(bundle, bundle.metrics)
    *_, latest = stored_checks(PROJECT_ROOT / "checkpoints")
    expected = with_section(card, bundle, latest["scans"])
    assert expected == (bundle.folder / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize(
    ("task", "kind", "says"),
    [
        ("vertebra", 1, "one image to the presence of C1–C7."),
        ("vertebra", 2, "its thickness to the presence of C1–C7."),
        ("fracture", 1, "one fracture probability of the slice."),
        ("fracture", 2, "and the presence of C1–C7 to a fracture probability of each."),
        ("fracture", 3, "a fracture probability and the presence of each of C1–C7."),
    ],
)
def test_shows_inputs_and_outputs_of_each_type(task, kind, says):
    assert says in _card(task, kind)


@pytest.mark.parametrize(
    ("channels", "says"),
    [
        ("grey", "One axial slice, HU window 400/1800, the central 75%"),
        ("neighbours", "between the one above and the one below, HU window 400/1800"),
        ("windows", "three HU windows (400/1800, 40/400, 300/600)"),
    ],
)
def test_shows_the_channels(channels, says):
    assert says in _card("vertebra", 1, channels=channels)


def test_shows_the_source_of_presence_for_type_2():
    assert "comes from vertebra_type2;" in _card("fracture", 2, vertebra_bundle="vertebra_type2")
    assert "comes from a vertebra bundle;" in _card("fracture", 2)
    assert "Presence of C1–C7 comes" not in _card("fracture", 1)


def test_shows_the_weight_of_the_fracture_loss():
    assert "3 × fracture + vertebra" in _card("fracture", 3, alpha=3)
    assert "× fracture" not in _card("fracture", 2, alpha=3)


def test_shows_the_training():
    card = _card("vertebra", 1, {"epochs": 1, "fold": 2, "pretrained": True})
    assert "less validation fold 2 of 5 (fold seed 0)" in card
    assert "1 epoch of all slices per study" in card
    assert "ImageNet initialisation" in card
    card = _card("vertebra", 1, {"epochs": 3, "fold": None, "slices_per_study": 9})
    assert "less validation fold" not in card
    assert "3 epochs of at most 9 slices per study" in card
    assert "random initialisation" in card


def test_shows_figures_with_intervals_and_a_dash_where_there_is_none():
    card = _card("fracture", 1)
    assert "| Fracture of a patient, p | 0.900 (0.800–0.950) | – | – | – | 0.250 |" in card
    assert "Synthetic data" in card


def test_shows_the_studies_of_training_and_measurement():
    card = _card("fracture", 2)
    assert "on 480 synthetic studies (seed 11), then trained on 240 others (seed 31)" in card
    assert "on 120 further synthetic studies (seed 23)" in card


def test_shows_the_field_and_the_context_along_a_vertebra():
    context = {"top_k": 3, "local": 0.25, "vertebra": 1.5, "intercept": -2.0}
    card = _card("fracture", 2, field_mm=90, context=context)
    assert "a square of 90 mm that follows the spine" in card
    assert "-2.00 +0.25 × those of the slice +1.50 × those of the mean of the vertebra's 3" in card
    assert "context" not in _card("vertebra", 1).split("## Limits")[0]
