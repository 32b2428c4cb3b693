"""Cases, orders and help are balanced, and the same for the same seed."""

from __future__ import annotations

import pytest

from core.errors import ReaderStudyError
from core.reader_study.design import case_order, draw_cases, group_of, halves, is_helped
from tests.core.reader_study.made_study import cases, plan


def test_half_of_the_drawn_cases_are_fractured_and_a_seed_repeats_them():
    known = cases(20, 30)
    drawn = draw_cases(known, 11, seed=4)
    assert sum(case.patient for case in drawn) == 5
    assert len({case.study_id for case in drawn}) == 11
    assert drawn == draw_cases(known[::-1], 11, seed=4)
    assert drawn != draw_cases(known, 11, seed=5)
    # Their order does not tell the truth.
    assert len({case.patient for case in drawn[:5]}) == 2


def test_too_few_studies_of_a_kind_are_named():
    with pytest.raises(ReaderStudyError, match="3 studies with a fracture, but the data set has 2"):
        draw_cases(cases(2, 30), 6, seed=0)


@pytest.mark.parametrize(("fractured", "sound"), [(3, 3), (4, 5), (1, 3), (5, 2)])
def test_the_halves_of_a_crossover_are_balanced(fractured, sound):
    made = plan(fractured, sound, help="crossover")
    first, second = halves(made)
    assert sorted((*first, *second)) == list(range(fractured + sound))
    assert abs(len(first) - len(second)) <= 1
    counts = [sum(made.cases[k].patient for k in part) for part in (first, second)]
    assert abs(counts[0] - counts[1]) <= 1


def test_the_groups_of_a_crossover_swap_help_and_read_the_same_cases_at_a_time():
    made = plan(4, 4, help="crossover", order="per reader", seed=9)
    first, second = halves(made)
    assert [group_of(made, number) for number in (1, 2, 3, 4)] == [0, 1, 0, 1]
    for number in range(1, 5):
        order = case_order(made, number)
        assert (set(order[:4]), set(order[4:])) == (set(first), set(second))
    for case in range(8):
        assert is_helped(made, 1, case) is (case in first)
        assert is_helped(made, 2, case) is (case in second)


def test_the_order_is_the_plans_or_each_readers_own():
    same = plan(5, 5)
    assert case_order(same, 1) == case_order(same, 7) == tuple(range(10))
    own = plan(5, 5, order="per reader", seed=1)
    assert sorted(case_order(own, 1)) == list(range(10))
    assert case_order(own, 1) == case_order(own, 1) != case_order(own, 2)
    assert not is_helped(own, 1, 0)
    assert is_helped(plan(help="with"), 1, 0)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"title": ""}, "title"),
        ({"limit_s": 5}, "10 to 3,600 seconds"),
        ({"seed": -1}, "whole number"),
        ({"cases": cases(0, 4)}, "at least one study with and one without"),
        ({"cases": cases(1, 1) * 2}, "twice"),
        ({"cases": cases(1, 2), "help": "crossover"}, "at least four"),
        ({"cases": cases(40, 40)}, "2 to 60 cases"),
    ],
)
def test_a_plan_that_cannot_work_is_refused_in_a_sentence(values, said):
    with pytest.raises(ReaderStudyError, match=said):
        plan(**values)
