from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.errors import PredictionsError
from core.evaluation.tables.evaluation_set import align
from core.evaluation.tables.score_table import table_without_slices
from core.evaluation.tables.truth_table import truth_table
from core.inference.aggregation import aggregate
from tests.core.evaluation.made_cohort import cohort, model, predictions, table, truths

N = 12


def test_pooled_items_equal_a_loop_over_studies():
    evaluated = cohort(N)
    places = {study: k for k, study in enumerate(evaluated.truth.study_ids.tolist())}
    expected = {"slice": [], "vertebra": [], "patient": [], "presence": []}
    for study, truth in zip(predictions(N), truths(N), strict=True):
        k, scores, mask = places[study.study_id], aggregate(study), np.asarray(truth.presence)
        for i, p in enumerate(scores.slice_probs):
            broken = bool((mask[i] & truth.fractured).any())
            expected["slice"].append((k, i, -1, p, broken))
            expected["presence"] += [
                (k, i, j, study.vertebra_probs[i, j], bool(mask[i, j])) for j in range(7)
            ]
        expected["vertebra"] += [
            (k, -1, j, scores.vertebra_probs[j], bool(truth.fractured[j])) for j in range(7)
        ]
        expected["patient"].append((k, -1, -1, scores.patient_prob, bool(truth.fractured.any())))
    for level, rows in expected.items():
        items = evaluated.items("a", level)
        rows = sorted(rows)
        assert np.array_equal(items.patients, [row[0] for row in rows]), level
        assert np.array_equal(items.slices, [row[1] for row in rows]), level
        assert np.array_equal(items.vertebrae, [row[2] for row in rows]), level
        assert items.scores == pytest.approx([row[3] for row in rows], abs=1e-12), level
        assert np.array_equal(items.truth, [row[4] for row in rows]), level


@pytest.mark.parametrize("fracture_type", [1, 2])
def test_a_vertebra_in_a_slice_is_scored_by_presence_times_fracture(fracture_type):
    evaluated = align([model(fracture_type=fracture_type)], table())
    items = evaluated.items("a", "slice", 3)
    by_id = {study.study_id: study for study in predictions(fracture_type=fracture_type)}
    truth = {study.study_id: study for study in truths()}
    for place in range(0, len(items.scores), 7):
        study = by_id[evaluated.truth.study_ids[items.patients[place]]]
        i, own = items.slices[place], truth[study.study_id]
        product = float(study.vertebra_probs[i, 3]) * float(study.fracture_probs[i, 3])
        assert items.scores[place] == pytest.approx(product, abs=1e-12)
        assert items.truth[place] == (own.presence[i, 3] and own.fractured[3])


def test_one_vertebra_is_the_pooled_items_of_that_vertebra():
    evaluated = cohort()
    for level in ("vertebra", "presence"):
        pooled, alone = evaluated.items("a", level), evaluated.items("a", level, 5)
        chosen = pooled.vertebrae == 5
        assert np.array_equal(pooled.scores[chosen], alone.scores)
        assert np.array_equal(pooled.truth[chosen], alone.truth)


def test_where_the_slices_lie_is_kept_once_for_models_of_the_same_slices():
    other = replace(model(), name="b")
    evaluated = align([model(), other], table())
    first, second = evaluated.items("a", "slice"), evaluated.items("b", "slice", 2)
    assert np.shares_memory(first.patients, second.patients)
    assert not first.patients.flags.writeable
    short = model()
    longer = replace(short, name="c", offsets=short.offsets + (np.arange(len(short.offsets)) > 0))
    evaluated = align([short, longer], table())
    assert len(evaluated.items("c", "patient").patients) == len(short.study_ids)
    assert evaluated.n_slices_with_truth("c") < evaluated.n_slices_with_truth("a")


def test_studies_of_one_side_are_reported_and_never_just_dropped():
    evaluated = align([model("a", 8), model("b", 5, seed=1)], table(12).take(np.arange(2, 12)))
    a, b = evaluated.coverage
    shared = set(evaluated.truth.study_ids.tolist())

    assert shared == {f"1.2.{k}" for k in range(5)} & set(table().study_ids[2:].tolist())
    assert evaluated.truth.n_studies == len(shared)
    truth_ids = set(table().study_ids[2:].tolist())
    assert set(a.missing) == truth_ids - {f"1.2.{k}" for k in range(8)}
    assert set(a.extra) == {f"1.2.{k}" for k in range(8)} - truth_ids
    assert set(a.not_shared) == ({f"1.2.{k}" for k in range(5, 8)}) & truth_ids
    assert not b.not_shared
    assert any("have no score" in sentence for sentence in a.sentences())
    assert any("have no truth" in sentence for sentence in a.sentences())
    assert any("another model" in sentence for sentence in a.sentences())


def test_slices_without_truth_or_of_another_number_are_left_out_of_slice_levels():
    made = truths()
    made[0] = replace(made[0], presence=None)
    made[1] = replace(made[1], presence=made[1].presence[:-1])
    evaluated = align([model()], truth_table(made))
    items = evaluated.items("a", "slice")

    assert evaluated.coverage[0].unfit == (made[1].study_id,)
    used = set(evaluated.truth.study_ids[np.unique(items.patients)].tolist())
    assert used == {study.study_id for study in made[2:]}
    assert len(evaluated.items("a", "patient").scores) == 12


def test_boxes_are_another_truth_of_a_slice():
    boxed = {"1.2.1": np.arange(7) == 4}
    evaluated = align([model()], truth_table(truths(), boxed))
    items = evaluated.items("a", "slice", definition="boxed")

    assert items.truth.sum() == 1
    at = int(np.argmax(items.truth))
    assert evaluated.truth.study_ids[items.patients[at]] == "1.2.1"
    assert items.slices[at] == 4
    with pytest.raises(PredictionsError, match="names no vertebra"):
        evaluated.items("a", "slice", 2, definition="boxed")
    assert "boxes are not known" in cohort().unsupported("a", "slice", "boxed")


def test_a_level_that_cannot_be_evaluated_says_why():
    outside = table_without_slices(
        "out", table().study_ids, np.zeros((12, 7)), np.linspace(0, 1, 12)
    )
    evaluated = align([outside], table())
    assert "not for slices" in evaluated.unsupported("out", "slice")
    assert evaluated.unsupported("out", "patient") is None
    with pytest.raises(PredictionsError, match="no presence level"):
        evaluated.items("out", "presence")
    bare = align([model()], truth_table([replace(t, presence=None) for t in truths()]))
    assert "no study here has a vertebra mask" in bare.unsupported("a", "slice")
    with pytest.raises(PredictionsError, match="names no vertebra"):
        evaluated.items("out", "patient", 2)


def test_taking_studies_renumbers_patients():
    evaluated = cohort().take(np.array([3, 5, 9]))
    whole = cohort()

    items = evaluated.items("a", "slice")
    assert set(items.patients.tolist()) == {0, 1, 2}
    kept = np.isin(whole.items("a", "slice").patients, [3, 5, 9])
    assert np.array_equal(items.scores, whole.items("a", "slice").scores[kept])
    with pytest.raises(PredictionsError, match="No study is left"):
        cohort().take(np.array([], int))


def test_unusable_models_are_named():
    with pytest.raises(PredictionsError, match="no model to evaluate"):
        align([], table())
    with pytest.raises(PredictionsError, match="same name"):
        align([model(), model()], table())
    with pytest.raises(PredictionsError, match="same data set"):
        align([model("a", 2)], table().take(np.array([5])))
    with pytest.raises(PredictionsError, match="no model named 'z'"):
        cohort().items("z", "patient")
    with pytest.raises(PredictionsError, match="comes twice in the truth"):
        truth_table([*truths(2), truths(1)[0]])
    with pytest.raises(PredictionsError, match="no study with truth"):
        truth_table([])
    with pytest.raises(PredictionsError, match="boxes for 3"):
        truth_table(truths(2), {"1.2.1": np.ones(3, bool)})
