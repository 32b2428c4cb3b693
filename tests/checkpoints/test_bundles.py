"""The bundles in git are complete and small, declare synthetic data, and work."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.config import PROJECT_ROOT
from core.constants import VERTEBRAE
from core.dataset.splits import assign_folds
from core.evaluation.report import evaluate_predictions
from core.evaluation.tables.score_files import read_score_table, read_truth_table
from core.evaluation.tables.truth import StudyTruth
from core.experiments.cohorts import (
    BOXES,
    FOLDS,
    FRESH,
    HELD_OUT,
    SEGMENTED_FRESH,
    SEGMENTED_MORE,
    SHIPPED,
    TRAIN,
)
from core.experiments.shipped_networks import demo_configs
from core.inference.boxes.study_scores import load_predictor
from core.inference.outputs import read_slices
from core.models.bundles import list_bundles
from core.models.pairs import choose_pair
from core.phantom.demo_cohort import DEMO_SEED
from core.phantom.study import make_study
from core.types import CTVolume, StudyRecord

BUNDLES = [
    bundle for bundle in list_bundles(PROJECT_ROOT / "checkpoints")
    if bundle.config.task in ("vertebra", "fracture")
]  # fmt: skip
NAMES = [bundle.config.name for bundle in BUNDLES]


def test_every_demo_config_has_its_bundle():
    assert sorted(NAMES) == sorted(demo_configs(PROJECT_ROOT))


@pytest.mark.parametrize("cohort", SHIPPED, ids=lambda cohort: cohort.name)
def test_the_tables_of_a_shipped_cohort_are_where_its_entry_says(cohort):
    truth = read_truth_table(cohort.truth_file(PROJECT_ROOT / "checkpoints"))
    assert truth.n_studies == cohort.studies
    assert truth.has_slices.all()
    assert cohort.slice_truth_file(PROJECT_ROOT / "checkpoints").is_file()
    for bundle in list_bundles(PROJECT_ROOT / "checkpoints"):
        if bundle.config.gives_labels:
            continue
        table = read_score_table(cohort.predictions_file(bundle.folder))
        assert table.study_ids.tolist() == truth.study_ids.tolist(), bundle.folder.name


@pytest.mark.parametrize("bundle", BUNDLES, ids=NAMES)
def test_the_recorded_folds_are_reproduced(bundle):
    """A network predicts the studies that it was not trained on: both sides must agree."""
    table = read_score_table(FOLDS.predictions_file(bundle.folder))
    truth = read_truth_table(FOLDS.truth_file(PROJECT_ROOT / "checkpoints"))
    records = [
        StudyRecord(str(study), Path(), fractured=tuple(row.tolist()))
        for study, row in zip(truth.study_ids, truth.fractured, strict=True)
    ]
    config = demo_configs(PROJECT_ROOT)[bundle.config.name]
    assigned = assign_folds(records, config.folds, config.seed)
    assert [assigned[study] for study in table.study_ids.tolist()] == table.fold.tolist()


def test_no_cohort_shares_a_seed_with_another():
    learnt_from = [TRAIN, BOXES, FRESH, *SEGMENTED_MORE, *SEGMENTED_FRESH]
    seeds = [DEMO_SEED, HELD_OUT.seed, FOLDS.seed]
    assert len({*seeds, *(cohort.seed for cohort in learnt_from)}) == 3 + len(
        {cohort.seed for cohort in learnt_from}
    )
    assert len(set(seeds)) == 3
    names = [cohort.name for cohort in (*learnt_from, HELD_OUT, FOLDS)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("bundle", BUNDLES, ids=NAMES)
def test_weights_fit_into_git(bundle):
    assert bundle.weights_file.stat().st_size < 16 * 2**20


@pytest.mark.parametrize("bundle", BUNDLES, ids=NAMES)
def test_figures_are_held_out_synthetic_and_have_intervals(bundle):
    metrics = bundle.metrics
    assert metrics["synthetic"] is True
    start = BOXES if bundle.config.gives_maps else TRAIN
    assert metrics["cohort"] == {
        start.name: {"studies": start.studies, "seed": start.seed},
        "folds": {"studies": FOLDS.studies, "seed": FOLDS.seed},
        "held_out": {"studies": HELD_OUT.studies, "seed": HELD_OUT.seed},
    }
    assert metrics["held_out"]["n"]["patients"] == HELD_OUT.studies >= 100
    headline = metrics["headline"]
    assert headline["low"] <= headline["value"] <= headline["high"]
    card = (bundle.folder / "MODEL_CARD.md").read_text()
    assert "Synthetic data" in card
    assert f"{headline['value']:.3f}" in card


@pytest.mark.parametrize("bundle", BUNDLES, ids=NAMES)
def test_operating_points_come_from_out_of_fold_predictions(bundle):
    points = json.loads((bundle.folder / "operating_points.json").read_text())
    assert "out-of-fold" in points["chosen_on"]
    held_out = bundle.metrics["held_out"]
    assert held_out["patient"]["threshold"] == points["patient"]["threshold"]
    assert held_out["patient"]["threshold_rule"] == "given"


@pytest.fixture(scope="module")
def new_study():
    study = make_study(seed=4242, index=0)
    n = study.grid.n_slices
    return CTVolume(
        study.hu, (study.grid.slice_mm, study.grid.pixel_mm, study.grid.pixel_mm), np.eye(4),
        study.grid.z().astype(np.float64), tuple(range(n)),
        tuple(Path(f"{i}.dcm") for i in range(n)), "made", "made",
    )  # fmt: skip


@pytest.mark.slow
def test_the_default_pair_finds_the_vertebrae_of_a_new_study(new_study):
    outputs = load_predictor(choose_pair(PROJECT_ROOT / "checkpoints"), device="cpu").predict(
        new_study
    )
    seen = outputs.vertebra_probs >= 0.5
    assert seen.any(axis=0).all()
    centres = [np.flatnonzero(seen[:, j]).mean() for j in range(7)]
    assert np.all(np.diff(centres) > 0)


@pytest.mark.parametrize("bundle", BUNDLES, ids=NAMES)
def test_figures_follow_from_the_shipped_predictions_and_truth(bundle):
    found = read_slices(bundle.folder / "predictions" / "held_out.parquet")
    report = evaluate_predictions(found, _held_out_truth(), replicates=1)
    stated = bundle.metrics["held_out"]
    for level in ("slice", "vertebra", "patient"):
        measured = getattr(report, level).metrics.auc
        assert measured == pytest.approx(stated[level]["auc"], abs=1e-9)


def _held_out_truth():
    cohorts = PROJECT_ROOT / "checkpoints" / "cohorts"
    studies = pd.read_parquet(cohorts / "held_out.parquet")
    slices = pd.read_parquet(cohorts / "held_out_slices.parquet")
    presence = dict(list(slices.groupby("study_id")))
    return [
        StudyTruth(
            row["study_id"],
            row[[f"y_{name}" for name in VERTEBRAE]].to_numpy(bool),
            presence[row["study_id"]][[f"present_{name}" for name in VERTEBRAE]].to_numpy(bool),
        )
        for _, row in studies.iterrows()
    ]


@pytest.mark.parametrize("bundle", BUNDLES, ids=NAMES)
def test_the_readme_quotes_the_measured_figures(bundle):
    headline = bundle.metrics["headline"]
    quoted = f"{headline['value']:.3f} ({headline['low']:.3f}–{headline['high']:.3f})"
    rows = (PROJECT_ROOT / "README.md").read_text().splitlines()
    assert any(bundle.config.name in row and quoted in row for row in rows)
