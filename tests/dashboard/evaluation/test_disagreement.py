"""The scatter of two models: which point is which study, and which disagree most."""

from types import SimpleNamespace

import numpy as np

from core.evaluation.tables.evaluation_set import align
from core.evaluation.tables.score_table import table_without_slices
from dashboard.evaluation.charts.disagreement import disagreement_figure
from dashboard.evaluation.disagreement import by_disagreement
from tests.core.evaluation.made_cohort import table


def test_a_point_carries_its_study_and_its_truth():
    fractured = np.array([True, False, True])
    scores = np.array([0.1, 0.5, 0.9]), np.array([0.2, 0.4, 0.6])
    figure = disagreement_figure(("a", "b"), scores, fractured, ["1.2.3456789", "x", "y"])
    traces = {trace.name: trace for trace in figure.data if trace.name}
    assert traces["fractured"].customdata.tolist() == [0, 2]
    assert traces["not fractured"].customdata.tolist() == [1]
    assert list(zip(traces["fractured"].x, traces["fractured"].y, strict=True)) == [
        (0.1, 0.2), (0.9, 0.6),
    ]  # fmt: skip
    assert traces["fractured"].text[0] == "….3456789"
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("a", "b")


def test_studies_are_listed_by_the_difference_of_their_ranks():
    truth = table(4)
    ids, none = truth.study_ids, np.zeros((4, 7))
    # Ranks 1 2 3 4 and 4 2 1 3: the first study differs by 3, the third by 2.
    first = table_without_slices("a", ids, none, np.array([0.1, 0.2, 0.3, 0.4]))
    second = table_without_slices("b", ids, none, np.array([0.99, 0.2, 0.1, 0.9]))
    shown = SimpleNamespace(evaluated=SimpleNamespace(data=align([first, second], truth)))
    assert by_disagreement(shown, ("a", "b")).tolist() == [0, 2, 3, 1]
