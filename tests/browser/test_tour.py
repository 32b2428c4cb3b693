"""A lecturer walks the eight stops in a real browser; the `page` fixture forbids any other host."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from dashboard.tour.stops import STOPS
from tests.browser.waiting import FIRST_TIME_MS, settle

pytestmark = pytest.mark.browser

WORTH_SHOWING = {
    "Data": ".st-key-dataset_charts .js-plotly-plot",
    "Preprocessing": ".st-key-preview img",
    "Training": ".st-key-plan .js-plotly-plot",
    "Comparison": ".lab-blank",  # The test's networks left no predictions.
    "Threshold": ".lab-blank",
    "One patient": ".lab-blank",  # Hidden until it is revealed.
    "3D": '[data-part="root"]',
    "You against the model": ".st-key-reader_join",
}


def bar(page):
    return page.locator(".st-key-tour_bar")


def test_a_lecturer_walks_the_eight_stops_and_finds_everything_as_before(
    page, dashboard_url, artifacts
):
    page.goto(f"{dashboard_url}/training")
    page.get_by_role("radio", name="Runs").click(timeout=FIRST_TIME_MS)
    expect(page.get_by_text("No run yet")).to_be_visible()
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("link", name="Take the tour").click()

    for number, stop in enumerate(STOPS, start=1):
        expect(bar(page)).to_contain_text(f"Stop {number} of 8", timeout=FIRST_TIME_MS)
        expect(bar(page)).to_contain_text(stop.say)
        expect(page).to_have_url(re.compile(f"/{stop.page}[?].*tour={number}"))
        shown = page.locator(WORTH_SHOWING[stop.title]).first
        expect(shown).to_be_visible(timeout=FIRST_TIME_MS)
        settle(page)
        page.screenshot(path=artifacts / f"tour_{number}.png")
        if number == 3:
            bar(page).get_by_role("button", name="Presenter view").click()
            expect(page.get_by_test_id("stSidebar")).not_to_be_visible()
        if number == 6:
            page.get_by_text("Reveal verdict, boxes and truth", exact=True).click()
            expect(page.locator(".lab-call")).to_be_visible(timeout=FIRST_TIME_MS)
            expect(page.get_by_role("columnheader", name="Truth")).to_be_visible()
        if number < 8:
            bar(page).get_by_role("button", name="Next").click()
    # What is on the projector is readable and not cut off.
    size = page.locator(".lab-tour p").first.evaluate(
        "e => parseFloat(getComputedStyle(e).fontSize)"
    )
    assert size >= 16
    main = page.get_by_test_id("stMain")
    assert main.evaluate("e => e.scrollWidth <= e.clientWidth")
    page.keyboard.press("PageUp")
    expect(bar(page)).to_contain_text("Stop 7 of 8")

    settle(page)
    bar(page).get_by_role("button", name="Normal view").click()
    expect(page.get_by_test_id("stSidebar")).to_be_visible()
    settle(page)
    bar(page).get_by_role("button", name="Leave").click()
    expect(page.get_by_role("heading", name="Is the cervical spine fractured")).to_be_visible()
    expect(page).to_have_url(re.compile("/overview$"))
    expect(bar(page)).to_have_count(0)
    page.get_by_role("link", name="Training").click()
    expect(page.get_by_text("No run yet")).to_be_visible()
