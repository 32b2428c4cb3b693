"""Fingers on the viewer, and what lies over all of its planes."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.waiting import FIRST_TIME_MS, settle
from tests.dashboard.workplace import FRACTURED

pytestmark = pytest.mark.browser


@pytest.fixture
def tablet(browser, dashboard_url):
    """Diagnosis on a touch screen of 900 px, with the CDP session that moves the fingers."""
    context = browser.new_context(viewport={"width": 900, "height": 1100}, has_touch=True)
    context.set_default_timeout(90_000)
    page = context.new_page()
    page.goto(f"{dashboard_url}/diagnosis?study={FRACTURED}&slice=4")
    axial = page.locator("canvas.axial")
    expect(axial).to_have_attribute("data-drawn", "4", timeout=FIRST_TIME_MS)
    settle(page)
    axial.scroll_into_view_if_needed()
    yield page, context.new_cdp_session(page)
    context.close()


def fingers(session, kind, *places):
    points = [{"x": x, "y": y, "id": k} for k, (x, y) in enumerate(places)]
    session.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})


def view_of(page):
    return page.locator("canvas.axial").evaluate(
        """canvas => {
            const { panes, look } = canvas.getRootNode().querySelector('.viewer').viewer;
            const { window } = look;
            const { zoom, x, y } = panes.axial.view;
            return [zoom, x, y, window.center, window.width, globalThis.scrollY];
        }"""
    )


def test_two_fingers_zoom_about_their_middle_and_pan_one_finger_windows(tablet):
    page, session = tablet
    box = page.locator("canvas.axial").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    off = middle[0] + 40, middle[1] - 30
    *place, center, width, scrolled = view_of(page)
    assert place == [1, 0, 0]

    apart = [(off[0] - 30, off[1]), (off[0] + 30, off[1])]
    fingers(session, "Start", *apart)
    for step in range(1, 11):
        spread = [(apart[0][0] - 3 * step, off[1]), (apart[1][0] + 3 * step, off[1])]
        fingers(session, "Move", *spread)
    fingers(session, "End")
    zoom, x, y, *window, after = view_of(page)
    # From 60 px apart to 120: twice as large, and what lay between the fingers stays there.
    assert zoom == pytest.approx(2, rel=0.02)
    assert (x, y) == (pytest.approx(-40, abs=4), pytest.approx(30, abs=4))
    assert (window, after) == ([center, width], scrolled)

    fingers(session, "Start", *apart)
    for step in range(1, 11):
        fingers(session, "Move", *((px + 2 * step, py + 5 * step) for px, py in apart))
    fingers(session, "End")
    moved = view_of(page)
    assert moved[0] == pytest.approx(zoom, rel=0.02)
    assert moved[1] - x == pytest.approx(20, abs=4)
    assert moved[2] - y == pytest.approx(50, abs=4)

    fingers(session, "Start", middle)
    for step in range(1, 9):
        fingers(session, "Move", (middle[0] + 10 * step, middle[1]))
    fingers(session, "End")
    last = view_of(page)
    assert last[:3] == moved[:3]
    assert last[4] > width + 100
    assert last[5] == scrolled

    page.locator('[data-command="pan"]').click()
    fingers(session, "Start", middle)
    for step in range(1, 9):
        fingers(session, "Move", (middle[0], middle[1] + 10 * step))
    fingers(session, "End")
    assert view_of(page)[2] - last[2] == pytest.approx(80, abs=12)
    assert view_of(page)[3:5] == last[3:5]


def test_a_finger_draws_a_length_and_a_second_one_gives_it_up(tablet):
    page, session = tablet
    page.locator("details.measure summary").click()
    page.locator('[data-command="length"]').click()
    box = page.locator("canvas.axial").bounding_box()
    x, y = box["x"] + box["width"] / 3, box["y"] + box["height"] / 2
    fingers(session, "Start", (x, y))
    for step in range(1, 6):
        fingers(session, "Move", (x + 12 * step, y))
    fingers(session, "End")
    marks = page.locator("details.marks summary")
    expect(marks).to_have_text("Marks (1)")
    fingers(session, "Start", (x, y + 60))
    fingers(session, "Move", (x + 30, y + 60))
    fingers(session, "Start", (x + 30, y + 60), (x + 90, y + 60))
    fingers(session, "End")
    settle(page)
    expect(marks).to_have_text("Marks (1)")
    page.locator("canvas.axial").press("Shift+Delete")
    expect(marks).to_be_hidden()
