from __future__ import annotations

from core.inference.agreement import agreement, opinion
from core.inference.verdict import NO_CALL
from dashboard.diagnosis.second_opinions import _table
from tests.core.inference.test_verdict import pair, region, scores


def table(*verdicts):
    return _table(agreement([opinion(one, networks) for one, networks in verdicts]))


def test_networks_that_abstain_have_no_vote():
    shown = table((scores(0.5), pair()), (scores(3.0), pair()))
    assert "1 of 2 make no call" in shown
    assert NO_CALL in shown
    assert ">1 of 1<" in shown
    assert shown.count("no call</span>") == 3
    assert '<small class="lab-muted">' in shown


def test_without_any_call_there_is_no_agreement():
    shown = table((scores(3.0), pair()))
    assert "no call is made" in shown
    assert "all agree" not in shown


def test_an_uncertain_call_says_so():
    assert "<small>uncertain</small>" in table((scores(0.5), pair(region(0.1, 0.9))))
