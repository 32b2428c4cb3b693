"""The class as points beside the model's curve."""

from __future__ import annotations

from core.reader_study.results import analyse
from dashboard.reader_study.roc_chart import reader_roc
from tests.core.reader_study.made_study import answer, cases

CASES = cases(2, 2)


def class_of(*readers, **values):
    """Answers of readers by their ratings of two fractured and two sound studies."""
    return [
        answer(number, case, rating, model_prob=0.8 if case.patient else 0.2,
               model_threshold=0.5, **values)
        for number, ratings in enumerate(readers, start=1)
        for case, rating in zip(CASES, ratings, strict=True)
    ]  # fmt: skip


def drawn(figure, name):
    return next(trace for trace in figure.data if trace.name == name)


def test_readers_at_the_same_place_are_one_larger_point():
    results = analyse(class_of((6, 1, 1, 1), (5, 2, 3, 1), (6, 6, 6, 1)))
    points = drawn(reader_roc(results), "readers without help")
    assert sorted(zip(points.x, points.y, strict=True)) == [(0.0, 0.5), (0.5, 1.0)]
    sizes = dict(zip(points.x, points.marker.size, strict=True))
    assert sizes[0.0] > sizes[0.5]
    assert set(points.customdata) == {"2 readers", "reader 3"}


def test_the_model_and_the_own_point_are_marked():
    results = analyse(class_of((6, 1, 1, 1), (6, 6, 6, 1)))
    figure = reader_roc(results, own=2)
    assert list(drawn(figure, "model").x) == [0.0, 0.0, 1.0]
    assert (drawn(figure, "you").x[0], drawn(figure, "you").y[0]) == (0.5, 1.0)
    assert drawn(figure, "model at its threshold").y[0] == 1.0


def test_a_reader_of_one_kind_of_study_has_no_point_and_no_model_no_curve():
    answers = [answer(1, case, 5) for case in CASES[:2]]
    names = [trace.name for trace in reader_roc(analyse(answers), own=1).data]
    assert names == [None]
