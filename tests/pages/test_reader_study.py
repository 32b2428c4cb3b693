"""The reader study from making it to its results, blinded and private, in-process."""

from __future__ import annotations

import shutil

import pytest

from core.config import Settings
from core.reader_study.records import CaseScores, ModelScores, StudyCase, drafted_answer, planned
from core.reader_study.store import FOLDER_NAME, ReaderStudyStore
from dashboard.session import access
from tests.dashboard.workplace import FRACTURED, SOUND
from tests.pages.driver import expect_refused, html, open_page, viewers, wait_for

pytestmark = pytest.mark.slow
FLAGS = {FRACTURED: (False,) * 4 + (True,) + (False,) * 2, SOUND: (False,) * 7}
SCORES = CaseScores(prob=0.7, vertebrae=(0.1,) * 7, slices=(3,) * 7)


@pytest.fixture
def store(at_work):
    folder = Settings().cspine_var / FOLDER_NAME
    yield ReaderStudyStore(folder)
    shutil.rmtree(folder, ignore_errors=True)


def made(store, **values):
    cases = tuple(StudyCase(study_id=uid, fractured=FLAGS[uid]) for uid in (FRACTURED, SOUND))
    root = (Settings().cspine_var / "demo").absolute()
    plan = planned(title="Friday", root=root, cases=cases, **values)
    return store.make(plan, ModelScores(title="m", threshold=0.5, cases=(SCORES,) * 2))


def widget(app, kind, key):
    return next(one for one in app.get(kind) if one.key == key)


def joined(study):
    app = open_page("reader_study", code=study.code)
    next(one for one in app.button if one.label == "Join").click().run()
    assert not app.exception
    return app


def say(app, rating):
    next(one for one in app.radio if "fractured" in one.label).set_value(rating).run()
    if rating >= 4:
        pills = next(one for one in app.get("button_group") if "Which vertebrae" in one.label)
        pills.set_value(["C5"]).run()
    next(one for one in app.button if one.label == "Answer and go on").click().run()
    # The button is in a fragment, which asks for the whole page.
    app.run()
    assert not app.exception
    return app


def test_a_lecturer_makes_a_study_and_two_readers_take_part(store):
    lecturer = open_page("reader_study")
    widget(lecturer, "number_input", "new_count").set_value(2)
    next(one for one in lecturer.button if one.label == "Make it").click().run()
    assert not lecturer.exception
    (study,) = store.studies()
    assert (len(study.cases), study.help) == (2, "without")
    assert study.code in html(lecturer)

    reader, other = joined(study), joined(study)
    assert "Case 1 of 2" in html(reader)
    (viewer,) = viewers(reader)
    for name in (FRACTURED, SOUND, study.secret):
        assert name not in repr(viewer)
        assert name not in html(reader)
        assert all(name not in value for value in reader.query_params.values())
    say(say(reader, 5), 2)
    assert "You have answered all 2 cases" in html(reader)
    assert "Case 1 of 2" in html(other.run())
    assert "lab-figures" not in html(reader)

    lecturer.run()
    next(one for one in lecturer.button if one.key == "lecturer_end").click().run()
    reader.run()
    assert "You are reader 1" in html(reader)
    assert "The cases that fooled most" in html(reader)
    other.run()
    assert "You are reader" not in html(other)
    assert not reader.exception
    assert not other.exception


def test_chosen_cases_keep_their_order_and_a_plan_that_cannot_work_is_refused(store):
    lecturer = open_page("reader_study")
    widget(lecturer, "button_group", "new_cases").set_value("Chosen").run()
    widget(lecturer, "multiselect", "new_chosen").set_value([SOUND, FRACTURED]).run()
    widget(lecturer, "button_group", "new_help").set_value("Crossover").run()
    widget(lecturer, "button", "new_make").click().run()
    assert any("at least four cases" in one.value for one in lecturer.error)
    assert store.codes() == ()
    widget(lecturer, "button_group", "new_help").set_value("With help").run()
    widget(lecturer, "number_input", "new_limit").set_value(60).run()
    widget(lecturer, "button", "new_make").click().run()
    assert not lecturer.exception
    (study,) = store.studies()
    assert [case.study_id for case in study.cases] == [SOUND, FRACTURED]
    assert (study.help, study.limit_s) == ("with", 60)
    wait_for(lecturer, lambda: store.read(study.code).is_ready)
    assert "Case 1 of 2" in html(joined(study))


def test_a_reload_goes_on_and_the_address_holds_the_place(store):
    study = made(store)
    app = joined(study)
    say(app, 2)
    token = app.query_params["reader"]
    again = open_page("reader_study", code=study.code, reader=token)
    assert "Case 2 of 2" in html(again)
    assert store.reader(study.code, token).answers


def test_help_is_shown_only_to_those_who_get_it(store):
    alone = joined(made(store))
    assert "The model, m" not in html(alone)
    helped = joined(made(store, help="with"))
    assert "The model, m" in html(helped)
    assert "p = <b>0.70</b>" in html(helped)


def test_after_the_time_the_scan_is_hidden_and_the_answer_is_taken(store, monkeypatch):
    study = made(store, limit_s=10)
    app = joined(study)
    assert "10 s for each scan" in html(app)
    token = app.query_params["reader"]
    (path,) = (store.folder / study.code / "readers").iterdir()
    text = path.read_text()
    year = text[text.index('"at":"') + 6 :][:4]
    path.write_text(text.replace(f'"at":"{year}', f'"at":"{int(year) - 1}'))
    app.run()
    assert viewers(app) == []
    assert "The time for this scan is over" in html(app)
    say(app, 1)
    assert store.reader(study.code, token).answers[0].seconds > 10


def test_viewers_see_no_part_of_lecturers_and_can_take_part(store, monkeypatch):
    study = made(store)
    monkeypatch.setattr(access, "role", lambda: "viewer")
    app = open_page("reader_study")
    assert "For lecturers" not in html(app)
    assert study.code not in html(app)
    assert "Case 1 of 2" in html(joined(study))


def test_a_readers_address_that_nobody_has_opens_nothing(store):
    code, wrong = made(store).code, "A" * 22
    expect_refused(open_page("reader_study", code=code, reader=wrong), "reader", wrong)


def test_a_deleted_study_is_gone_for_its_readers_and_says_so(store):
    study = made(store)
    app = joined(study)
    lecturer = open_page("reader_study")
    next(one for one in lecturer.button if one.key == "lecturer_delete").click().run()
    assert store.codes() == ()
    app.run()
    assert any("no reader study with the code" in one.value for one in app.error)
    assert not app.exception


def test_an_answer_that_came_too_late_is_refused_in_a_sentence(store):
    study = made(store)
    app = joined(study)
    token = app.query_params["reader"]
    next(one for one in app.radio if "fractured" in one.label).set_value(2).run()
    store.answer(study.code, token, 0, drafted_answer(rating=1))
    next(one for one in app.button if one.label == "Answer and go on").click().run()
    assert any("answered already" in one.value for one in app.error)
    assert "Case 2 of 2" in html(app)
    assert store.reader(study.code, token).answers[0].rating == 1
