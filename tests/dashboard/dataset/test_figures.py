"""The charts of a data set show its statistics and identify the clicked bar."""

from __future__ import annotations

import numpy as np
import pytest

from core.constants import VERTEBRAE
from core.dataset.quality import FLAGS
from core.dataset.statistics import distribution_edges, summarise_studies
from core.dataset.study_table import StudyFilter, select, study_table
from dashboard.dataset.figures import (
    distribution_figure,
    flags_figure,
    fractures_figure,
    prevalence_figure,
    together_figure,
)
from tests.core.dataset.made_data import made_boxes, made_index


@pytest.fixture(scope="module")
def statistics():
    index = made_index(studies=120, slices=3_000, seed=5)
    table = study_table(index, made_boxes(index, 90))
    edges = distribution_edges(table)

    def of(wanted):
        return summarise_studies(table, select(table, wanted), edges)

    return of(StudyFilter(fractured=True)), of(StudyFilter())


def test_bars_of_the_part_stand_before_those_of_the_whole(statistics):
    shown, everything = statistics
    behind, front = prevalence_figure(shown, everything, ()).data
    assert list(front.x) == list(VERTEBRAE)
    assert list(front.y) == shown.vertebrae.tolist()
    assert list(behind.y) == everything.vertebrae.tolist()
    assert list(front.customdata) == list(behind.customdata) == list(range(7))


def test_what_is_chosen_is_outlined_and_other_counts_fade(statistics):
    shown, everything = statistics
    _, front = fractures_figure(shown, everything, 1).data
    assert list(front.marker.line.width)[:3] == [0, 2.5, 0]
    assert front.marker.color[1].startswith("#")
    assert front.marker.color[0].startswith("rgba")
    _, front = flags_figure(shown, everything, (FLAGS[2].column,)).data
    assert list(front.marker.line.width).index(2.5) == 2
    assert all(color.startswith("#") for color in front.marker.color)


def test_counts_of_fractures_end_with_the_most_there_are(statistics):
    shown, everything = statistics
    _, front = fractures_figure(shown, everything, None).data
    most = int(np.flatnonzero(everything.fractures_per_patient).max())
    assert list(front.x) == [str(k) for k in range(most + 1)]


def test_a_square_stands_for_each_pair_once(statistics):
    shown, _ = statistics
    (marks,) = together_figure(shown, ("C2", "C5")).data
    assert len(marks.x) == 28
    for x, y, text, (row, column), outline in zip(
        marks.x, marks.y, marks.text, marks.customdata, marks.marker.line.width, strict=True
    ):
        assert (VERTEBRAE[column], VERTEBRAE[row]) == (x, y)
        assert text == (str(shown.together[row, column]) if shown.together[row, column] else "")
        assert (outline > 0) == ({x, y} == {"C2", "C5"})


def test_a_distribution_has_its_intervals_and_median(statistics):
    shown, everything = statistics
    span = everything.n_slices.span(1)
    figure = distribution_figure(shown.n_slices, everything.n_slices, span, axis="slices")
    _, front = figure.data
    assert list(front.y) == shown.n_slices.counts.tolist()
    assert front.x[1] == sum(span) / 2
    assert list(front.marker.line.width).index(2.5) == 1
    assert figure.layout.shapes[0].x0 == shown.n_slices.median
    assert "slices" in figure.layout.xaxis.title.text


def test_an_empty_part_can_be_drawn(statistics):
    _, everything = statistics
    index = made_index(studies=3, slices=60)
    table = study_table(index, made_boxes(index, 1).iloc[:0])
    none = summarise_studies(table, np.zeros(3, bool), distribution_edges(table))
    for figure in (
        prevalence_figure(none, everything, ()),
        fractures_figure(none, none, None),
        together_figure(none, ()),
        flags_figure(none, everything, ()),
        distribution_figure(none.n_boxes, none.n_boxes, None, axis="boxes"),
    ):
        assert sum(np.sum(t.y) for t in figure.data[1:2] if t.orientation == "v") == 0
