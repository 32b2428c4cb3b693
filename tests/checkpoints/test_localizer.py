"""The localiser in git is complete, small and measured on held-out studies."""

from __future__ import annotations

import json

import pytest

from core.config import PROJECT_ROOT
from core.evaluation.detection.files import fused_table, read_box_cohort
from core.evaluation.detection.groups import by_group
from core.evaluation.detection.report import evaluate_detection
from core.experiments.cohorts import LEVELS_FILE, PREDICTIONS_FOLDER
from core.experiments.localizer_report import REPLICATES, STEPS, measures
from core.experiments.localizer_scores import measure_levels
from core.experiments.shipped_localizer import NAME
from core.inference.boxes.evidence import box_outputs
from core.inference.outputs import read_slices
from core.models.bundles import BoxWeights, read_bundle
from core.models.localizer_bundle import load_localizer


@pytest.fixture(scope="module")
def bundle():
    return read_bundle(PROJECT_ROOT / "checkpoints" / NAME)


@pytest.fixture(scope="module")
def cohort(bundle):
    return read_box_cohort(bundle.folder / PREDICTIONS_FOLDER)


@pytest.mark.slow
def test_its_weights_load_and_fit_into_git(bundle):
    assert bundle.weights_file.stat().st_size < 16 * 2**20
    load_localizer(bundle)
    everything = sum(f.stat().st_size for f in bundle.folder.rglob("*") if f.is_file())
    assert everything < 20 * 2**20


@pytest.mark.slow
def test_the_metrics_are_those_of_the_shipped_boxes(bundle, cohort):
    report = evaluate_detection(
        fused_table(cohort.raw, STEPS[-1].settings), cohort.truth, cohort.n_slices,
        threshold=0.0, replicates=REPLICATES,
    )  # fmt: skip
    written = dict(bundle.metrics["steps"][-1])
    assert written.pop("step") == STEPS[-1].name
    assert measures(report) == written
    groups = by_group(report, cohort.kinds)
    assert sum(group.boxes for group in groups) == len(cohort.truth)
    assert 0 < report.mean_top_iou < 1


def test_card_and_table_quote_the_metrics(bundle):
    held = bundle.metrics["held_out"]
    card = (bundle.folder / "MODEL_CARD.md").read_text()
    assert f"{held['mean_iou_best_scored']:.3f}" in card
    assert "Synthetic data" in card
    table = (PROJECT_ROOT / "docs" / "results_localisation.md").read_text()
    for row in bundle.metrics["steps"]:
        line = next(line for line in table.splitlines() if line.startswith(f"| {row['step']} |"))
        assert f"{row['mean_iou_best_scored']:.3f}" in line
        assert f"{row['box_sensitivity_at_1_false_box_a_study']:.3f}" in line


def test_the_operating_point_is_not_chosen_on_held_out_studies(bundle):
    assert "training cohort" in bundle.operating_points["box"]["chosen_on"]


@pytest.mark.slow
def test_its_figures_as_a_fracture_model_follow_from_the_shipped_predictions(bundle):
    stated = json.loads((bundle.folder / PREDICTIONS_FOLDER / LEVELS_FILE).read_text())
    report = measure_levels(bundle)
    for level in ("slice", "vertebra", "patient"):
        found = getattr(report, level)
        assert found.metrics.auc == pytest.approx(stated["held_out"][level]["auc"], abs=1e-9)
        chosen = bundle.operating_points[level]["threshold"]
        assert found.operating_point.threshold == pytest.approx(chosen, abs=1e-9)
        assert "training cohort" in bundle.operating_points[level]["chosen_on"]


def test_the_shipped_method_is_the_last_of_those_compared(bundle):
    stated = json.loads((bundle.folder / PREDICTIONS_FOLDER / LEVELS_FILE).read_text())
    *others, shipped = stated["readings"]
    assert len(others) == 2
    for level, area in shipped["held_out"].items():
        # Probabilities are stored to 1e-4.
        assert area == pytest.approx(stated["held_out"][level]["auc"], abs=2e-3)


def test_the_shipped_predictions_are_the_weighted_boxes(bundle, cohort):
    stated = json.loads((bundle.folder / PREDICTIONS_FOLDER / LEVELS_FILE).read_text())
    weights = bundle.config.box_weights
    assert weights == BoxWeights(**stated["weights"])
    vertebra = read_bundle(PROJECT_ROOT / "checkpoints" / stated["partner"])
    seen = {
        s.study_id: s
        for s in read_slices(vertebra.folder / PREDICTIONS_FOLDER / "held_out.parquet")
    }
    stored = {
        s.study_id: s for s in read_slices(bundle.folder / PREDICTIONS_FOLDER / "held_out.parquet")
    }
    for raw in cohort.raw[::20]:
        again = box_outputs(raw, seen[raw.study_id], weights)
        # Boxes are kept as float32 and probabilities to 1e-4.
        assert again.fracture_probs == pytest.approx(stored[raw.study_id].fracture_probs, abs=2e-4)
