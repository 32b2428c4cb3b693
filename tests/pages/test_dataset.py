"""The Dataset page: choose, index, filter, list and open studies; make new ones."""

from __future__ import annotations

import pytest

from core.dataset.index import build_index
from core.system.parallel import Workers
from dashboard.background import process_tasks
from dashboard.background.process_tasks import Task
from tests.dashboard.workplace import FRACTURED, SOUND
from tests.pages.driver import html, open_page


@pytest.fixture
def indexed(at_work):
    root = (at_work.var / "demo").absolute()
    build_index(root, (at_work.var / "cache").absolute(), workers=Workers(jobs=1))
    return at_work


@pytest.fixture
def started(at_work, monkeypatch):
    """Tasks that the page started, without a process behind them."""
    calls = []

    def start(kind, root, options):
        calls.append((kind, root, options))
        task = Task(at_work.var / "t", kind, root, "running", 0, 0, 0, 0.0, 0.0, "", 1)
        monkeypatch.setattr(process_tasks, "read_task", lambda folder: task)
        return task

    monkeypatch.setattr(process_tasks, "_start", start)
    return calls


def listed(app):
    return app.dataframe[0].value["Study"].tolist() if app.dataframe else []


def button(app, label):
    return next((b for b in app.button if b.label == label), None)


@pytest.mark.slow
def test_facts_charts_and_studies_are_shown(indexed):
    app = open_page("dataset")
    assert not app.exception
    assert not app.error
    text = html(app)
    for part in ("24</dd>", "50 %", "of 2 labelled", "synthetic", "Which vertebrae are fractured?"):
        assert part in text
    assert len(app.get("plotly_chart")) == 8
    assert listed(app) == [FRACTURED, SOUND]
    assert app.dataframe[0].value["Vertebrae"].tolist() == ["C5", ""]


@pytest.mark.slow
def test_wrong_boxes_are_listed(indexed):
    boxes = indexed.var / "demo" / "train_bounding_boxes.csv"
    content = boxes.read_text()
    boxes.write_text(content + f"{FRACTURED},1,1,9999,5,1\n{FRACTURED},1,1,5,5,999\n")
    app = open_page("dataset")
    boxes.write_text(content)
    assert [e.label for e in app.expander if "Wrong rows" in e.label] == [
        "Wrong rows in the tables (2)"
    ]
    shown = [text.value for text in app.text]
    assert any("lies past the image's right edge" in text for text in shown)
    assert any("no slice of that number" in text for text in shown)


@pytest.mark.slow
def test_the_url_filters_and_a_chip_removes_its_filter(indexed):
    app = open_page("dataset", vertebrae="C5", n_slices="0..900")
    assert listed(app) == [FRACTURED]
    assert "of 2</dt>" in html(app)
    button(app, "C5 fractured").click().run()
    assert listed(app) == [FRACTURED, SOUND]
    assert "vertebrae" not in app.query_params
    assert app.query_params["n_slices"] == "0..900"
    button(app, "Slices 0 to below 900").click().run()
    assert "n_slices" not in app.query_params


@pytest.mark.slow
def test_searching_is_a_filter_too(indexed):
    app = open_page("dataset")
    app.text_input(key="dataset_search").set_value(SOUND[-5:]).run()
    assert listed(app) == [SOUND]
    assert app.query_params["text"] == SOUND[-5:]
    app.text_input(key="dataset_search").set_value("nowhere").run()
    assert "No study passes" in html(app)
    button(app, "Id contains “nowhere”").click().run()
    assert app.text_input(key="dataset_search").value == ""
    assert len(listed(app)) == 2


@pytest.mark.slow
def test_a_study_is_opened_by_its_link_with_truth_flags_and_header(indexed):
    app = open_page("dataset", study=FRACTURED)
    assert not app.exception
    text = html(app)
    assert "Labelled as fractured: <b>C5</b>" in text
    assert "Short coverage" in text
    assert "Explicit VR Little Endian" in text
    assert "Rescale Intercept" in text
    assert "Patient ID" in "".join(c.value for c in app.caption)
    button(app, "Close").click().run()
    assert "Labelled as fractured" not in html(app)
    assert "study" not in app.query_params


def test_a_small_set_without_index_is_indexed_at_once(at_work, started, monkeypatch, tmp_path):
    monkeypatch.setenv("RSNA_CACHE", str(tmp_path / "empty"))
    app = open_page("dataset")
    assert started == [("index", at_work.var / "demo", [])]
    assert button(app, "Cancel") is not None


@pytest.mark.slow
def test_studies_are_made_as_asked(indexed, started):
    app = open_page("dataset")
    app.number_input(key="phantom_studies").set_value(3).run()
    app.text_input(key="phantom_name").set_value("Two words").run()
    button(app, "Generate").click().run()
    assert "is not a valid name for a cohort" in app.error[0].value
    app.text_input(key="phantom_name").set_value("three").run()
    button(app, "Generate").click().run()
    ((kind, root, options),) = started
    assert (kind, root) == ("phantom", indexed.var / "cohorts" / "three")
    assert options == ["--studies", "3", "--seed", "7", "--matrix", "256"]


def test_a_read_only_dashboard_makes_and_indexes_nothing(at_work, started, monkeypatch, tmp_path):
    monkeypatch.setenv("DASHBOARD_READONLY", "1")
    monkeypatch.setenv("RSNA_CACHE", str(tmp_path / "empty"))
    app = open_page("dataset")
    assert started == []
    assert [b.label for b in app.main.button] == []
    assert "no index yet" in html(app)


def test_without_any_data_set_the_page_says_what_to_do(at_work, monkeypatch, tmp_path):
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path))
    app = open_page("dataset")
    assert not app.exception
    assert "There is no data set yet" in app.info[0].value
