"""The results of made classes, whose figures can be counted by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from core.reader_study.result_text import results_text
from core.reader_study.results import analyse
from tests.core.reader_study.made_study import answer, cases

CASES = cases(3, 3)
PROBS = (0.9, 0.8, 0.3, 0.4, 0.2, 0.1)


def scored(reader, ratings, **values):
    """A reader's answers to the six cases, with the model's scores."""
    return [
        answer(reader, case, rating, model_prob=prob, model_threshold=0.35, **values)
        for case, rating, prob in zip(CASES, ratings, PROBS, strict=True)
    ]


def test_a_class_of_two_is_counted_by_hand():
    results = analyse(scored(1, (6, 5, 2, 1, 4, 2)) + scored(2, (6, 6, 5, 1, 1, 2), seconds=20.0))
    assert (results.n_cases, results.n_fractured, results.n_answers) == (6, 3, 12)
    first, second = results.readers
    assert first.all.sensitivity.value == pytest.approx(2 / 3)
    assert first.all.specificity.value == pytest.approx(2 / 3)
    truth = [1, 1, 1, 0, 0, 0]
    assert first.all.auc.value == pytest.approx(roc_auc_score(truth, (6, 5, 2, 1, 4, 2)))
    assert second.all.auc.value == 1.0
    assert first.all.vertebrae.value == pytest.approx(2 / 3)
    assert (first.all.seconds, second.all.seconds) == (10.0, 20.0)
    # Model: calls cases 1, 2 and 4; reader 1 calls 1, 2 and 5; agreed on 4 of 6, by chance 1/2.
    assert first.with_model.value == pytest.approx((4 / 6 - 1 / 2) / (1 / 2))
    model = results.model
    assert model.figures.sensitivity.value == pytest.approx(2 / 3)
    assert model.figures.auc.value == pytest.approx(roc_auc_score(truth, PROBS))
    assert (model.false_positive_rate[0], model.sensitivity[-1]) == (0.0, 1.0)
    (arm,) = results.arms
    assert arm.means["auc"].value == pytest.approx((first.all.auc.value + second.all.auc.value) / 2)
    assert arm.versus_model.value == pytest.approx(arm.means["auc"].value - model.figures.auc.value)
    # Both call 1 and 2; one of them 3 and 5; none 4 and 6.
    assert results.agreement.value == pytest.approx((4 / 6 - 1 / 2) / (1 / 2))
    assert [case.n_wrong for case in results.cases] == [1, 1, 0, 0, 0, 0]
    assert {case.study_id for case in results.cases[:2]} == {"1.2.3", "1.2.5"}
    wrong_by_model = {case.study_id for case in results.cases if case.model_wrong}
    assert wrong_by_model == {"1.2.3", "1.2.4"}
    assert results.help == {}


def test_help_is_compared_between_the_halves_of_a_crossover():
    def halves(reader, group, alone, helped):
        """Cases 1, 3, 4 and 5 in one half, the others in the other; groups swap them."""
        both = []
        for k, case in enumerate(CASES * 2):
            unit = case.model_copy(update={"study_id": f"1.3.{k}"})
            with_help = (k % 2 == 0) == (group == 0)
            rating = (helped if with_help else alone)[case.patient]
            both.append(answer(reader, unit, rating, helped=with_help, group=group))
        return both

    made = [
        halves(1, 0, (4, 5), (1, 6)),
        halves(2, 1, (2, 2), (1, 6)),
        halves(3, 0, (1, 6), (1, 6)),
        halves(4, 1, (3, 3), (2, 5)),
    ]
    results = analyse([one for reader in made for one in reader])
    assert [arm.helped for arm in results.arms] == [False, True]
    # Alone: reader 1 finds all and calls all; 2 and 4 call nothing; 3 is right. Helped, all are.
    assert results.help["sensitivity"].value == pytest.approx(((0 + 0) / 2 + (1 + 1) / 2) / 2)
    assert results.help["specificity"].value == pytest.approx(((1 + 0) / 2 + 0) / 2)
    assert results.help["auc"].n_readers == 4
    assert results.model is None
    assert results.readers[0].with_model is None
    first = results.readers[0]
    assert (first.all.n_cases, first.without.n_cases, first.helped.n_cases) == (12, 6, 6)
    assert (first.without.specificity.value, first.helped.specificity.value) == (0.0, 1.0)


def test_one_reader_who_is_always_right():
    results = analyse(scored(1, (6, 6, 6, 1, 1, 1)))
    (arm,) = results.arms
    assert (arm.means["auc"].value, arm.means["auc"].low) == (1.0, None)
    assert results.readers[0].all.sensitivity.low > 0.4
    assert results.agreement is None
    assert "none: every call was right" in results_text(results)


def test_a_reader_who_left_after_one_case_counts_as_far_as_possible():
    results = analyse(scored(1, (6, 5, 2, 1, 4, 2)) + scored(2, (6, 1, 1, 1, 1, 1))[:1])
    late = results.readers[1]
    assert (late.all.n_cases, late.all.auc, late.all.specificity) == (1, None, None)
    assert results.arms[0].means["auc"].n_readers == 1
    assert results.arms[0].means["sensitivity"].n_readers == 2
    results_text(results)


def test_no_answer_has_no_results():
    assert analyse([]) is None


def test_results_are_json_and_text():
    results = analyse(scored(1, (6, 5, 2, 1, 4, 2)) + scored(2, (6, 6, 5, 1, 1, 2)))
    whole = json.loads(json.dumps(results.to_json(), allow_nan=False))
    assert whole["arms"][0]["means"]["auc"]["n_readers"] == 2
    text = results_text(results)
    assert "2 readers, 6 cases (3 fractured), 12 answers" in text
    assert "1.2.3: 1 of 2 wrong; true: C2, C6; model p = 0.300" in text
    assert not np.isnan(results.arms[0].seconds)
