"""A localiser's card states its training and its figures."""

from core.config import PROJECT_ROOT
from core.experiments.cohorts import FOLDS
from core.experiments.localizer_report import BOX_RULE
from core.experiments.real_scan_text import stored_checks, with_section
from core.models.bundles import read_bundle
from core.training.trainer import TRAINING_TASKS


def test_the_shipped_card_follows_from_the_shipped_bundle():
    bundle = read_bundle(PROJECT_ROOT / "checkpoints" / "localization_mobilenet_v3_large")
    metrics = bundle.metrics | {"chosen_on": {"studies": FOLDS.studies, "rule": BOX_RULE}}
    card = TRAINING_TASKS[bundle.config.task].card(bundle, metrics)
    scans = stored_checks(PROJECT_ROOT / "checkpoints")[-1]["scans"]
    assert with_section(card, bundle, scans) == (bundle.folder / "MODEL_CARD.md").read_text()
