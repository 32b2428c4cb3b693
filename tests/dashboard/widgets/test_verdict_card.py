from __future__ import annotations

import pytest

from core.inference.verdict import NO_CALL, judge
from dashboard.widgets.verdict_card import verdict_card, verdict_parts
from tests.core.inference.test_verdict import pair, region, scores, upside_down


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_implausible_levels_give_no_call_and_no_comparison_with_the_truth(threshold):
    card = verdict_card(judge(upside_down(), pair(), patient=threshold), fractured=True)
    assert NO_CALL in card
    assert "C7 is above C6" in card
    assert "suspected" not in card
    assert "Truth" not in card


def test_a_scan_out_of_distribution_gets_no_call_but_its_score():
    card = verdict_card(judge(scores(3.25), pair()), fractured=True)
    assert NO_CALL in card
    assert "Distribution score 3.25, limit 1, higher than for 100 % of 4" in card
    assert "suspected" not in card
    assert "Truth" not in card


def test_the_call_stays_the_headline_where_it_is_uncertain():
    card = verdict_card(judge(scores(0.5), pair(region(0.1, 0.9))), fractured=True)
    assert ">Fracture suspected<" in card
    assert "Uncertain: at 90% coverage, both answers" in card
    assert "the call agrees" in card
    assert "Uncertain" not in verdict_card(judge(scores(0.5), pair(region(0.1, 0.2))))


def test_the_card_of_either_call_is_the_one_at_such_a_threshold():
    answers = pair(region(0.1, 0.2))
    (part,) = verdict_parts(judge(scores(0.5), answers, patient=0.9), fractured=True)
    prob = judge(scores(0.5), answers).prob
    assert (part.follows, part.score) == ("patient_threshold", prob)
    for threshold, html in ((prob, part.reached), (prob + 1e-9, part.below)):
        card = verdict_card(judge(scores(0.5), answers, patient=threshold), fractured=True)
        assert html.replace("0.900", f"{threshold:.3f}") == card
    assert verdict_parts(judge(upside_down(), pair())) == []


def test_networks_without_a_reference_say_so():
    assert "No distribution reference." in verdict_card(judge(scores(), pair(reference=None)))
