"""The data set chosen on Dataset is the one whose studies every other page offers."""

from __future__ import annotations

import pytest

from core.constants import SYNTHETIC_WARNING, VERTEBRAE
from core.system import atomic_files
from tests.core.dicom.dicom_factory import write_ct_series
from tests.dashboard.workplace import FRACTURED, SOUND, made_neck, write_cohort
from tests.pages.driver import html, open_page

MADE = "1.2.826.0.1.77"


@pytest.fixture
def two_sets(at_work, monkeypatch, tmp_path):
    """The demo cohort, and one made from the page that holds a single study."""
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path))
    write_cohort(tmp_path / "demo")
    root = tmp_path / "cohorts" / "single"
    write_ct_series(
        root / "train_images" / MADE, made_neck(5), spacing_mm=(3.0, 0.8, 0.8), study_uid=MADE,
        intercept=-1024.0,
    )  # fmt: skip
    atomic_files.write_json(
        root / "phantom.json", {"synthetic": True, "warning": SYNTHETIC_WARNING}
    )
    header = "StudyInstanceUID,patient_overall," + ",".join(VERTEBRAE)
    atomic_files.write_text(root / "train.csv", f"{header}\n{MADE},0,0,0,0,0,0,0,0\n")
    return tmp_path


def study_box(app):
    return next(box for box in app.selectbox if box.label.startswith("Study of"))


def uid_ends(box):
    """The last characters of the UIDs in a list of studies."""
    return [option.split("…")[1][:8] for option in box.options]


def turn_to(app, page):
    app.switch_page(f"../pages/{page}.py")
    return app.run()


@pytest.mark.slow
def test_the_choice_on_dataset_switches_the_other_pages(two_sets):
    app = turn_to(open_page("overview"), "preprocessing")
    assert f"…{FRACTURED[-8:]}" in study_box(app).options[0]
    assert "data" not in app.query_params
    app = turn_to(app, "dataset")
    app.selectbox(key="data").set_value("cohort-single").run()
    for page in ("preprocessing", "diagnosis"):
        turn_to(app, page)
        assert not app.exception
        assert uid_ends(study_box(app)) == [MADE[-8:]], page
        assert "Made here · single" in study_box(app).label
        assert app.query_params["data"] == "cohort-single"
        assert app.query_params["study"] == MADE
        assert "Made here · single" in html(app)
    app = turn_to(app, "dataset")
    app.selectbox(key="data").set_value("demo").run()
    turn_to(app, "diagnosis")
    assert uid_ends(study_box(app)) == [FRACTURED[-8:], SOUND[-8:]]
    assert "data" not in app.query_params


@pytest.mark.slow
def test_overview_and_the_presenters_note_show_the_chosen_set(two_sets):
    app = open_page("overview", data="cohort-single", present="1")
    assert not app.exception
    assert "Data set in use: Made here · single" in html(app)
    assert "<dt>study</dt><dd>1</dd>" in html(app)
    assert app.query_params["data"] == "cohort-single"
    app = open_page("overview")
    assert "Data set in use: Demo cohort" in html(app)
    assert "<dt>studies</dt><dd>2</dd>" in html(app)


@pytest.mark.slow
def test_a_link_names_the_data_set(two_sets):
    app = open_page("preprocessing", data="cohort-single", study=MADE)
    assert not app.exception
    assert "<span>1 study</span>" in html(app)
    assert study_box(app).value == MADE
