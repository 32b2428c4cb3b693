"""A lecturer and two students in browsers of their own, from the code to the results."""

from __future__ import annotations

import re
import shutil

import pytest
from playwright.sync_api import expect

from core.reader_study.store import FOLDER_NAME, ReaderStudyStore
from tests.browser.waiting import FIRST_TIME_MS, refusals, settle
from tests.dashboard.workplace import FRACTURED, SOUND

pytestmark = pytest.mark.browser


@pytest.fixture
def people(browser, workplace):
    """Three windows whose sessions share nothing; what they left is removed."""
    contexts = [browser.new_context(viewport={"width": 1440, "height": 900}) for _ in range(3)]
    pages = [context.new_page() for context in contexts]
    refused = [refusals(page) for page in pages]
    for context in contexts:
        context.set_default_timeout(90_000)
    yield pages
    assert refused == [[], [], []]
    assert all(page.get_by_test_id("stException").count() == 0 for page in pages)
    for context in contexts:
        context.close()
    shutil.rmtree(workplace.var / FOLDER_NAME, ignore_errors=True)


def join(page, url, code):
    page.goto(f"{url}/reader_study")
    page.get_by_label("Code from your lecturer").fill(code.lower(), timeout=FIRST_TIME_MS)
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_text("Case 1 of 2")).to_be_visible(timeout=FIRST_TIME_MS)
    expect(page.locator("canvas.axial")).to_have_attribute(
        "data-drawn", re.compile(r"\d+"), timeout=FIRST_TIME_MS
    )


def answer(page, words, following):
    page.get_by_text(words, exact=True).click()
    button = page.get_by_role("button", name="Answer and go on")
    expect(button).to_be_enabled()
    button.click()
    expect(page.get_by_text(following)).to_be_visible()


def draw_a_box(page):
    """Drag a rectangle in the middle of the picture and keep it."""
    page.get_by_text("Draw a box around the fracture").click()
    layer = page.locator(".st-key-reader_draw .js-plotly-plot .nsewdrag").first
    layer.hover()
    area = layer.bounding_box()
    x, y = area["x"] + area["width"] / 2, area["y"] + area["height"] / 2
    page.mouse.move(x - 30, y - 30)
    page.mouse.down()
    page.mouse.move(x + 10, y + 10, steps=4)
    page.mouse.move(x + 30, y + 30, steps=4)
    page.mouse.up()
    keep = page.get_by_role("button", name="Keep the box")
    expect(keep).to_be_enabled()
    keep.click()
    expect(page.get_by_text("Boxes drawn: 1.")).to_be_visible()


def test_a_class_reads_and_sees_itself_beside_the_model(
    people, dashboard_url, workplace, artifacts
):
    lecturer, first, second = people
    store = ReaderStudyStore(workplace.var / FOLDER_NAME)
    lecturer.goto(f"{dashboard_url}/reader_study")
    lecturer.get_by_role("spinbutton", name="Number of cases").fill("2", timeout=FIRST_TIME_MS)
    lecturer.get_by_role("spinbutton", name="Number of cases").press("Enter")
    settle(lecturer)
    lecturer.get_by_role("button", name="Make it").click()
    expect(lecturer.locator(".lab-code")).to_be_visible()
    code = lecturer.locator(".lab-code").inner_text()

    join(first, dashboard_url, code)
    join(second, dashboard_url, code)
    for page in (first, second):
        for name in (FRACTURED, SOUND):
            assert name not in page.content()
    first.get_by_text("Probably", exact=True).click()
    first.get_by_role("button", name="C5").click()
    draw_a_box(first)
    answer(first, "Probably", "Case 2 of 2")
    first.reload()
    expect(first.get_by_text("Case 2 of 2")).to_be_visible()
    expect(second.get_by_text("Case 1 of 2")).to_be_visible()
    answer(first, "Certainly not", "You have answered all 2 cases")
    answer(second, "Rather not", "Case 2 of 2")

    logs = store.readers(code)
    assert [len(log.answers) for log in logs] == [2, 1]
    given = logs[0].answers[logs[0].order[0]]
    assert given.vertebrae == ("C5",)
    (box,) = given.boxes
    left, top, right, bottom = box.xyxy
    assert 2 < right - left < 50
    assert (right - left) == pytest.approx(bottom - top, rel=0.2)

    lecturer.get_by_role("button", name="End and show the results").click()
    # Without a click of theirs.
    expect(first.get_by_text("You are reader 1")).to_be_visible()
    expect(first.locator(".js-plotly-plot")).to_be_visible()
    expect(second.get_by_text("You are reader 2")).to_be_visible()
    expect(lecturer.get_by_text("The cases that fooled most")).to_be_visible()
    settle(first)
    first.screenshot(path=artifacts / "reader_study.png", full_page=True)
    lecturer.get_by_role("button", name="Delete", exact=True).click()
    lecturer.get_by_role("button", name="Delete everything").click()
    expect(lecturer.get_by_text("No reader study has been made here yet.")).to_be_visible()
    assert store.codes() == ()
