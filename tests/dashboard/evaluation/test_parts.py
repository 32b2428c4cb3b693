"""Slow results, sources, imports and pictures behind the Evaluation page."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest

from core.config import Settings
from core.errors import DataRootError, DicomSeriesError, PredictionsError
from core.evaluation.thresholds import Rule
from core.experiments.cohorts import HELD_OUT
from core.phantom.cohort import cohort_uids
from dashboard.background.budget import FIGURES
from dashboard.background.thread_jobs import JobPool
from dashboard.evaluation import deferred as deferred_figures
from dashboard.evaluation.deferred import INLINE_UP_TO, PENDING, compute_deferred, deferred
from dashboard.evaluation.imports import forget_import, import_csv, import_folder, list_imports
from dashboard.evaluation.results import Evaluated, ModelAtLevel, Question
from dashboard.evaluation.sources import find_sources
from dashboard.evaluation.threshold_counts import choose, live_figures, what_if
from dashboard.studies import synthetic_studies
from dashboard.studies.pictures import WantedPicture, make_picture
from tests.core.evaluation import made_cohort
from tests.dashboard.made_predictions import NAMES, write_predictions_place

WIDE = b"uid,Overall,C1,C2,C3,C4,C5,C6,C7\n1.2.3,0.5,0,0,0,0,0,0,0.5\n"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    for name, folder in (
        ("CSPINE_VAR", "var"), ("RSNA_CACHE", "cache"), ("CHECKPOINTS", "checkpoints"),
    ):  # fmt: skip
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setenv("BROWSE_ROOTS", str(tmp_path))
    monkeypatch.delenv("RSNA_ROOT", raising=False)
    return Settings()


@pytest.fixture
def pool(monkeypatch):
    one = JobPool("test", FIGURES)
    monkeypatch.setattr(deferred_figures, "pool", lambda: one)
    monkeypatch.setattr(deferred_figures, "HEAD_START_S", 0.0)
    return one


def test_a_large_figure_is_pending_until_the_page_is_drawn_and_computed_once(pool):
    calls, release = [], threading.Event()

    def work():
        calls.append(1)
        release.wait(10)
        return 7

    many = INLINE_UP_TO + 1
    assert deferred("k", work, items=many) is PENDING
    assert calls == []
    compute_deferred()
    assert pool.busy
    assert deferred("k", work, items=many) is PENDING
    release.set()
    pool.find("k").future.result(timeout=10)
    assert deferred("k", work, items=many) == 7
    assert calls == [1]


@pytest.mark.parametrize("items", [1, INLINE_UP_TO + 1])
def test_a_failure_reaches_whoever_asks(pool, items):
    def work():
        raise PredictionsError("one sentence.")

    if items > 1:
        assert deferred("k", work, items=items) is PENDING
        compute_deferred()
        pool.find("k").future.exception(timeout=10)
    for _ in range(2):
        with pytest.raises(PredictionsError, match="one sentence"):
            deferred("k", work, items=items)


def test_held_out_studies_are_evaluated_at_thresholds_of_the_training_cohort(settings):
    write_predictions_place(settings.checkpoints, studies=3, slices=300, models=1)
    sources = find_sources(settings)
    assert list(sources.truths) == ["held_out", "training"]
    (model,) = sources.models_for(HELD_OUT.truth_id)
    assert model.other_table(HELD_OUT.truth_id)[0] == "training"
    assert model.other_table("training") is None


def test_a_run_over_folds_is_found_with_the_truth_of_its_data(settings):
    root = settings.cspine_var / "demo"
    (root / "train_images").mkdir(parents=True)
    (root / "train.csv").write_text("StudyInstanceUID,patient_overall,C1,C2,C3,C4,C5,C6,C7\n")
    run = settings.runs_root / "20260101-fracture"
    (run / "predictions").mkdir(parents=True)
    (run / "config.yaml").write_text(f"task: fracture\ndata_root: {root}\n")
    (run / "predictions" / "slices.parquet").write_bytes(b"")
    assert not find_sources(settings).models  # Without the file that is written last.
    (run / "predictions" / "predictions.json").write_text("[]")
    sources = find_sources(settings)
    (model,) = sources.models.values()
    assert (model.kind, list(model.tables)) == ("run", ["data"])


def test_an_import_is_kept_listed_and_forgotten(settings):
    added = import_csv(settings, "A model", WIDE, truth_id="held_out")
    assert [entry.name for entry in list_imports(settings)] == ["A model"]
    assert added.table.read_bytes() == WIDE
    with pytest.raises(PredictionsError):
        import_csv(settings, "broken", b"nonsense", truth_id="held_out")
    with pytest.raises(PredictionsError, match="name"):
        import_csv(settings, " ", WIDE, truth_id="held_out")
    assert len(list_imports(settings)) == 1
    forget_import(settings, added.import_id)
    assert list_imports(settings) == []
    with pytest.raises(PredictionsError, match="no import"):
        forget_import(settings, "../../etc")


def test_a_folder_of_predictions_is_pointed_to_not_copied(settings):
    (folder,) = write_predictions_place(settings.checkpoints, studies=3, slices=300, models=1)
    table = folder / "predictions" / "held_out.parquet"
    added = import_folder(settings, "mine", table, truth_id="held_out")
    assert added.table == table.resolve()
    sources = find_sources(settings)
    assert {model.label for model in sources.models_for(HELD_OUT.truth_id)} == {NAMES[0], "mine"}
    forget_import(settings, added.import_id)
    assert table.is_file()


def test_a_read_only_dashboard_imports_nothing(settings, monkeypatch):
    monkeypatch.setenv("DASHBOARD_READONLY", "1")
    with pytest.raises(PredictionsError, match="read-only"):
        import_csv(Settings(), "A model", WIDE, truth_id="held_out")
    assert not settings.cspine_var.exists()


@pytest.mark.slow
def test_a_shipped_synthetic_study_is_made_and_gets_a_picture_and_others_a_sentence(settings):
    bundle = settings.checkpoints / "b"
    bundle.mkdir(parents=True)
    (bundle / "model.safetensors").write_bytes(b"")
    config = {
        "name": "b", "task": "fracture", "type": 1, "backbone": "googlenet", "size": 32,
        "crop": 1.0, "window_center": 400, "window_width": 1800, "weights_sha256": "0" * 64,
        "parameters": 1, "trained_on": {}, "created": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    (bundle / "config.json").write_text(json.dumps(config))
    cohort = {"held_out": {"seed": 5, "studies": 2}}
    (bundle / "metrics.json").write_text(json.dumps({"cohort": cohort}))
    uid = cohort_uids(studies=2, seed=5)[1]
    assert synthetic_studies.shown_here([uid, "1.2.3", uid]) == {uid}
    record = synthetic_studies.linked_study(uid, ())
    assert record.folder == settings.cspine_var / "synthetic" / "train_images" / uid
    assert synthetic_studies.linked_study(uid, {uid}) is None
    assert synthetic_studies.linked_study("1.2.3", ()) is None
    assert synthetic_studies.study_record(uid).folder == record.folder
    with pytest.raises(DataRootError, match="set RSNA_ROOT"):
        synthetic_studies.study_record("1.2.3")
    file = make_picture(WantedPicture(uid, 3))
    assert file.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(DicomSeriesError, match="slices, but slice 9999"):
        make_picture(WantedPicture(uid, 9999))


@pytest.fixture(scope="module")
def evaluated():
    data = made_cohort.cohort(n=12)
    return Evaluated("made", data, 12)


@pytest.mark.parametrize("level", ["patient", "vertebra", "slice", "presence"])
def test_live_counts_are_those_of_the_arrays(evaluated, level):
    found = evaluated.data.items("a", level)
    for threshold in (0.0, 0.31, float(found.scores[3]), 1.1):
        counts = live_figures(ModelAtLevel(evaluated, "a", Question(level)), (threshold,)).counts
        called = found.scores >= threshold
        assert counts.true_positives == int((called & found.truth).sum())
        assert counts.false_positives == int((called & ~found.truth).sum())


def test_seven_thresholds_add_up_or_call_the_patient_of_any(evaluated):
    limits = tuple(np.linspace(0.2, 0.8, 7))
    scores = evaluated.data.models[0].vertebra_scores
    truth = evaluated.data.truth.fractured
    called = scores >= np.array(limits)
    vertebra = live_figures(ModelAtLevel(evaluated, "a", Question("vertebra")), limits)
    assert vertebra.counts.true_positives == int((called & truth).sum())
    assert vertebra.per_vertebra["C3"].false_positives == int((called & ~truth)[:, 2].sum())
    patient = live_figures(ModelAtLevel(evaluated, "a", Question("patient")), limits)
    assert patient.counts.false_negatives == int((truth.any(1) & ~called.any(1)).sum())


def test_a_vertebra_without_fractures_takes_the_shared_threshold(evaluated):
    places = np.flatnonzero(~evaluated.data.truth.fractured[:, 0])
    data = evaluated.data.take(places)
    few = ModelAtLevel(Evaluated("few", data, 12), "a", Question("vertebra"))
    found = choose(few, Rule("highest F1"), by_vertebra=True, label="here", same_data=True)
    together = choose(few, Rule("highest F1"), by_vertebra=False, label="here", same_data=True)
    assert "C1" in found.fallbacks
    assert found.values[0] == together.values[0]


def test_the_what_if_line_reads_as_asked_for():
    from core.evaluation.confusion import ConfusionCounts

    assert what_if("patient", ConfusionCounts(949, 410, 648, 12)) == (
        "12 of 961 fractured patients are missed, 410 of 1,058 healthy ones called fractured"
    )
