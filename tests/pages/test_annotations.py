"""Annotating on the pages: saved, refused to viewers and after somebody else's edit."""

from __future__ import annotations

import shutil

import pytest

from core.annotations.records import AnnotationDraft
from core.annotations.store import AnnotationStore
from core.config import PROJECT_ROOT, Settings
from core.experiments.shipped_localizer import NAME
from tests.pages.driver import open_page, viewers, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def store(at_work, monkeypatch, tmp_path):
    shutil.copytree(PROJECT_ROOT / "checkpoints" / NAME, tmp_path / NAME)
    monkeypatch.setenv("CHECKPOINTS", str(tmp_path))
    folder = Settings().cspine_var / "annotations"
    yield AnnotationStore(folder)
    shutil.rmtree(folder, ignore_errors=True)


def opened():
    app = open_page("localization")
    wait_for(app, lambda: len(viewers(app)) == 2)
    assert not app.exception
    return app


def fill(app, initials="ab", named=("C2",)):
    next(one for one in app.text_input if one.label == "Initials").set_value(initials)
    pills = next(one for one in app.get("button_group") if "Fractured" in one.label)
    pills.set_value(list(named))
    return next(one for one in app.button if one.label == "Save").click().run()


def test_a_verdict_is_saved_with_initials_and_shown_again(store):
    app = fill(opened())
    assert any("Saved as revision 1" in one.value for one in app.success)
    (study_id,) = store.study_ids()
    current = store.current(study_id)
    assert current.author == "AB"
    assert current.fractured == (False, True, *[False] * 5)
    assert any("Revision 1 by AB" in one.value for one in app.caption)
    app = fill(opened(), named=("C2", "C3"))
    assert store.current(study_id).revision == 2


def test_missing_initials_are_one_sentence(store):
    app = fill(opened(), initials="")
    assert any("initials" in one.value for one in app.error)
    assert store.study_ids() == ()


def test_an_edit_that_began_before_anothers_is_refused_and_kept(store):
    app = opened()
    fill(app)
    (study_id,) = store.study_ids()
    app = opened()
    store.save(study_id, AnnotationDraft(base=1, author="CD"))
    fill(app, named=("C5",))
    assert any("by CD" in one.value and "newer" in one.value for one in app.error)
    log = store.read(study_id)
    assert log.current.author == "CD"
    assert log.refused[0].fractured[4] is True


def test_who_may_change_nothing_sees_no_form(store, monkeypatch):
    monkeypatch.setenv("DASHBOARD_READONLY", "true")
    app = opened()
    assert any("read-only" in one.value for one in app.info)
    assert not [one for one in app.button if one.label == "Save"]
