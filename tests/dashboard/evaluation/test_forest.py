"""The forest plot: rows, intervals, the overall line and sentences on hover."""

from __future__ import annotations

import json

import pytest

from core.evaluation.subgroup_report import HEADING, csv_rows, find_subgroups, sentence
from core.evaluation.subgroups import measure_subgroups
from core.evaluation.tables.attributes import from_names
from dashboard.evaluation.charts.forest import WEAK, forest_figure
from dashboard.evaluation.tables import subgroups_html
from tests.core.evaluation.planted import patients


@pytest.fixture(scope="module")
def report():
    calls, attributes = patients(3, corrupted=(("kernel", "kernel 2"),))
    rare = from_names("rare", "R<b>", "added", ["few"] * 4 + [""] * 396)
    return measure_subgroups(calls, [*attributes, rare], permutations=999)


def test_each_group_is_a_row_with_its_interval_and_the_line_is_all_studies(report):
    figure = forest_figure(report.groups, report.overall, "sensitivity", chosen=[1])
    (marks,) = figure.data
    assert list(marks.y) == list(marks.customdata) == list(range(16))
    for k, group in enumerate(report.groups[:16]):
        found = group.estimates["sensitivity"]
        assert marks.x[k] == found.value
        assert marks.x[k] + marks.error_x.array[k] == pytest.approx(found.high)
        assert marks.x[k] - marks.error_x.arrayminus[k] == pytest.approx(found.low)
    (line,) = figure.layout.shapes
    assert line.x0 == report.overall.estimates["sensitivity"].value
    assert marks.marker.line.width[:2] == (0, 3)
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]


def test_a_weakness_is_marked_and_a_group_of_few_says_so(report):
    figure = forest_figure(report.groups, report.overall, "error")
    marks = figure.data[0]
    assert (marks.marker.color[0], marks.marker.symbol[0]) == (WEAK, "diamond")
    assert WEAK not in marks.marker.color[1:]
    (note,) = figure.layout.annotations
    assert (note.text, note.y) == ("too few (4)", 16)
    assert figure.layout.yaxis.ticktext[16] == "R&lt;b&gt;: few"


def test_the_hover_is_a_sentence(report):
    first = report.groups[0]
    hover = forest_figure(report.groups, report.overall, "auc").data[0].text[0]
    assert hover.replace("<br>", " ").startswith(sentence(first))
    assert "ROC AUC 0." in hover.replace("<br>", " ")
    assert sentence(first).startswith("Kernel: kernel 2: ")
    assert "More errors, by more than chance (Holm-adjusted p 0.0" in sentence(first)


def test_the_csv_has_a_row_for_all_and_for_each_group(report):
    rows = csv_rows(report)
    assert len(rows) == 18
    assert {len(row) for row in rows} == {len(HEADING)}
    assert rows[0][:2] == ["All", ""]
    assert rows[17][HEADING.index("error_rate")] == ""
    assert rows[1][HEADING.index("error_rate")] == report.groups[0].estimates["error"].value


def test_the_report_lists_every_group_and_part_as_text():
    calls, attributes = patients(3, corrupted=(("kernel", "kernel 2"),))
    named = from_names("x", "<i>X", "added", ["&"] * 200 + ["b"] * 200)
    findings = find_subgroups(calls, [*attributes, named], "patient")
    text = subgroups_html(findings)
    assert "&lt;i&gt;X: &amp;: " in text
    assert "<i>" not in text
    assert text.count("<li>") == 1 + len(findings.report.groups) + len(findings.worst)
    content = findings.to_json()
    assert content["groups"][0]["group"] == "kernel 2"
    assert content["worst_parts"][0]["conditions"]["Kernel"] == "kernel 2"
    json.dumps(content, allow_nan=False)
