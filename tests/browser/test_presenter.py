"""On a projector of 1280 × 720 pixels the picture that a page is about fills the screen."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.waiting import FIRST_TIME_MS, settle

pytestmark = pytest.mark.browser

WIDTH, HEIGHT = 1280, 720


def opened(browser, url, ready):
    page = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}).new_page()
    page.set_default_timeout(90_000)
    page.goto(url)
    expect(page.locator(ready).first).to_be_visible(timeout=FIRST_TIME_MS)
    settle(page)
    return page


def expect_on_stage(page, selector, artifacts, name):
    """The picture is in view without scrolling, and at least half of the window high."""
    part = page.locator(selector).first
    page.screenshot(path=artifacts / f"presenter_{name}.png")
    box = part.bounding_box()
    assert box is not None
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= HEIGHT
    assert box["height"] >= HEIGHT / 2
    assert box["x"] + box["width"] <= WIDTH


@pytest.mark.parametrize("stop", ["", "&tour=6"])
def test_the_slices_fill_the_screen(browser, dashboard_url, artifacts, stop):
    page = opened(browser, f"{dashboard_url}/diagnosis?present=1{stop}", "canvas.axial")
    expect(page.get_by_test_id("stProgress")).to_have_count(0, timeout=FIRST_TIME_MS)
    settle(page)
    expect_on_stage(page, "canvas.axial", artifacts, f"diagnosis{stop[1:]}")
    expect(page.locator(".st-key-study_bar")).not_to_be_visible()
    expect(page.locator(".lab-call")).to_have_count(0)
    page.get_by_role("button", name="Show the controls").click()
    expect(page.locator(".st-key-study_bar")).to_be_visible()
    page.context.close()


@pytest.mark.parametrize("stop", ["", "&tour=5"])
def test_the_curves_fill_the_screen_beside_their_slider(browser, evaluation_url, artifacts, stop):
    roc = ".st-key-ev_roc_stack .js-plotly-plot .main-svg"
    page = opened(browser, f"{evaluation_url}/evaluation?present=1{stop}", roc)
    expect_on_stage(page, ".st-key-ev_roc_stack .js-plotly-plot", artifacts, f"roc{stop[1:]}")
    slider = page.get_by_role("slider").first.bounding_box()
    assert slider["y"] + slider["height"] <= HEIGHT
    expect(page.locator(".st-key-ev_models")).not_to_be_visible()
    expect(page.locator(".st-key-ev_level")).to_be_visible()
    page.context.close()


@pytest.mark.parametrize("stop", ["", "&tour=7"])
def test_the_spine_fills_the_screen(webgl, scene_url, artifacts, stop):
    page = opened(webgl, f"{scene_url}/spine_3d?present=1{stop}", '[data-part="canvas"] canvas')
    expect_on_stage(page, '[data-part="canvas"]', artifacts, f"spine{stop[1:]}")
    page.context.close()
