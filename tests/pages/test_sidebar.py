"""The sidebar warns of generated studies, but not beside a scan that may be real."""

from __future__ import annotations

import shutil

import pytest

from core.constants import SYNTHETIC_WARNING
from tests.dashboard.workplace import FRACTURED, write_cohort
from tests.pages.driver import html, open_page

PAGES = ("preprocessing", "diagnosis", "localization", "spine_3d")


def with_source(app, source):
    next(w for w in app.button_group if w.key == "source").set_value(source).run()
    return app


def in_folder(app, folder):
    with_source(app, "Folder")
    assert SYNTHETIC_WARNING in html(app)  # Nothing is open yet.
    next(w for w in app.text_input if w.key == "folder").set_value(str(folder)).run()
    assert not app.exception
    assert not app.error
    return app


@pytest.fixture
def scan(at_work, tmp_path, monkeypatch):
    """A series outside every data set."""
    monkeypatch.setenv("BROWSE_ROOTS", f"{at_work.root.parent}:{tmp_path}")
    shutil.copytree(at_work.var / "demo" / "train_images" / FRACTURED, tmp_path / "scan")
    return tmp_path / "scan"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_scan_from_a_folder_is_not_called_generated(scan, page):
    app = in_folder(open_page(page), scan)
    assert SYNTHETIC_WARNING not in html(app)
    assert "the scan on show is from a folder" in html(app)
    app.switch_page("../pages/overview.py").run()
    assert SYNTHETIC_WARNING in html(app)
    app.switch_page(f"../pages/{page}.py").run()
    assert SYNTHETIC_WARNING not in html(app)
    with_source(app, "Data set")
    assert SYNTHETIC_WARNING in html(app)


def test_a_generated_study_named_by_its_folder_is(at_work):
    app = in_folder(open_page("preprocessing"), at_work.var / "demo" / "train_images" / FRACTURED)
    assert SYNTHETIC_WARNING in html(app)


def test_the_presenter_layout_says_the_same(scan):
    app = in_folder(open_page("preprocessing"), scan)
    app.query_params["present"] = "1"
    app.run()
    assert SYNTHETIC_WARNING not in html(app)


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [*PAGES, "overview", "dataset", "training", "evaluation", "reader_study"]
)
def test_no_page_calls_a_real_data_set_generated(at_work, tmp_path, monkeypatch, page):
    write_cohort(tmp_path / "rsna")
    (tmp_path / "rsna" / "phantom.json").unlink()
    monkeypatch.setenv("RSNA_ROOT", str(tmp_path / "rsna"))
    app = open_page(page)
    assert not app.exception
    assert SYNTHETIC_WARNING not in html(app)
