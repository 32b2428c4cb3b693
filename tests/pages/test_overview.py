from __future__ import annotations

from core.constants import NOT_FOR_CLINICAL_USE, SYNTHETIC_WARNING
from core.system import atomic_files
from tests.pages.driver import html, open_page


def test_the_page_shows_data_set_and_networks(at_work):
    app = open_page("overview")
    text = html(app)
    assert not app.exception
    assert "Demo cohort" in text
    assert "<dt>studies</dt><dd>2</dd>" in text
    assert "<dt>slices</dt><dd>24</dd>" in text
    assert "<dt>fractured</dt><dd>50 %</dd>" in text
    assert "fracture-made" in text
    assert "0.871</b> (0.800–0.930)" in text
    assert text.count('class="lab-stage"') == 5


def test_warnings_are_on_the_page(at_work):
    text = html(open_page("overview"))
    assert text.count(SYNTHETIC_WARNING) == 2  # In the sidebar, and in the line where it is folded.
    assert NOT_FOR_CLINICAL_USE in text


def test_the_projects_own_results_are_separate(at_work):
    text = html(open_page("overview"))
    assert "accuracy 0.980" in text
    assert "not comparable" in text


def test_without_data_and_bundles_the_page_says_what_to_do(at_work, monkeypatch, tmp_path):
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path))
    monkeypatch.setenv("CHECKPOINTS", str(tmp_path / "none"))
    app = open_page("overview")
    assert not app.exception
    assert "make run" in html(app)
    assert "make demo-models" in html(app)


def test_a_damaged_data_root_is_one_sentence(at_work, monkeypatch, tmp_path):
    monkeypatch.setenv("RSNA_ROOT", str(tmp_path))
    app = open_page("overview")
    assert not app.exception
    assert len(app.error) == 1


def test_a_damaged_bundle_is_left_out(at_work, monkeypatch, tmp_path):
    atomic_files.write_text(tmp_path / "broken" / "config.json", "{")
    monkeypatch.setenv("CHECKPOINTS", str(tmp_path))
    app = open_page("overview")
    assert not app.exception
    assert "No bundle was found" in html(app)


def test_three_doors_show_what_is_there(at_work):
    app = open_page("overview")
    text = html(app)
    assert "/pictures/" in text
    assert "threshold of fracture-made" in text
    assert "runs so far" in text
    assert "This installation" in text
    assert "GiB" in text
