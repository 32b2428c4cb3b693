from __future__ import annotations

import re

from core.inference.study_scores import call, score_study
from core.inference.verdict import NO_CALLS
from dashboard.overview.pipeline import pipeline_picture
from dashboard.overview.spine_mark import spine_mark
from dashboard.widgets.vertebra_table import vertebra_parts, vertebra_table
from tests.core.inference.test_study_scores import two_vertebrae


def rows(html: str) -> list[str]:
    return re.findall(r"<tr><td>.*?</tr>", html)


def table(truth=None, vertebra=0.3) -> list[str]:
    scores = score_study(two_vertebrae())
    calls = call(scores, patient=0.5, vertebra=vertebra)
    return rows(vertebra_table(scores, calls, threshold=vertebra, truth=truth))


def test_seven_rows_name_extent_probability_and_call():
    first, second, third, *rest = table()
    assert "C1" in first
    assert "0–2" in first
    assert "none" in first
    assert "2–4" in second
    assert "0.367" in second
    assert "fracture" in second
    assert "not seen" in third
    assert len(rest) == 4


def test_truth_is_compared_only_when_it_is_given():
    assert "Truth" not in "".join(table())
    marked = table(truth=(False, False, True, False, False, False, False))
    assert 'title="agrees"' in marked[0]
    assert 'title="differs"' in marked[1]
    assert 'title="differs"' in marked[2]
    # A tick or a cross before a true fracture would read as its opposite.
    assert not re.search("[✓✗]", "".join(marked))
    assert re.search(r"none <span[^>]*>false alarm<", marked[1])
    assert re.search(r"fracture <span[^>]*>missed<", marked[2])


def test_without_a_call_probabilities_stay_and_are_muted():
    scores = score_study(two_vertebrae())
    shown = vertebra_table(scores, NO_CALLS, threshold=0.3, truth=(True,) * 7)
    assert "lab-no-call" in shown
    assert "0.367" in shown
    assert shown.count("no call") == 2
    assert shown.count("not seen") == 5
    assert not re.search("missed|false alarm|agrees|lab-hot", shown)


def test_cells_with_either_call_are_those_of_the_table_at_such_a_threshold():
    scores, truth = score_study(two_vertebrae()), (True, False) + (False,) * 5

    def at(threshold):
        calls = call(scores, patient=0.5, vertebra=threshold)
        return calls, vertebra_table(scores, calls, threshold=threshold, truth=truth)

    calls, _ = at(0.3)
    parts = vertebra_parts(scores, calls, threshold=0.3, truth=truth)
    # Vertebrae that are not seen have no call.
    assert {part.selector for part in parts} == {
        f'[data-live="{name}:{cell}"]' for name in ("C1", "C2") for cell in ("bar", "call", "truth")
    }
    for threshold in (0.0, 0.1, 0.1000001, 0.36, 1.0):
        _, table = at(threshold)
        for part in parts:
            html = part.reached if part.score >= threshold else part.below
            assert html.replace("30.0%", f"{100 * threshold:.1f}%") in table


def test_the_tick_is_at_the_threshold():
    assert ["left:30.0%" in row for row in table()] == [True] * 7


def test_pictures_have_names_for_those_who_cannot_see_them_and_no_blank_lines():
    picture = pipeline_picture()
    assert picture.count('role="img"') == 5
    assert picture.count("aria-label=") == 5
    assert 'aria-label="Cervical spine' in spine_mark()
    assert "\n\n" not in picture + spine_mark()
