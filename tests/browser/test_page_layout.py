"""Scan and answer are in sight at once, and the sidebar folds where it would take the room."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.waiting import FIRST_TIME_MS, expect_fit, settle

pytestmark = pytest.mark.browser

HEIGHT = 900


def box_of(page, selector):
    found = page.locator(selector).first.bounding_box()
    assert found is not None
    return found


@pytest.mark.parametrize("width", [1440, 900])
def test_scan_and_answer_are_in_sight_without_scrolling(browser, dashboard_url, width):
    page = browser.new_context(viewport={"width": width, "height": HEIGHT}).new_page()
    page.goto(f"{dashboard_url}/diagnosis")
    expect(page.locator(".lab-call")).to_be_visible(timeout=FIRST_TIME_MS)
    expect_fit(page)
    scan, answer = box_of(page, "canvas.axial"), box_of(page, ".st-key-verdict .lab-verdict")
    assert scan["y"] + scan["height"] <= HEIGHT
    assert scan["height"] >= HEIGHT / 4
    assert answer["y"] + answer["height"] <= HEIGHT
    assert answer["x"] >= scan["x"] + scan["width"]
    page.context.close()


@pytest.mark.parametrize("name", ["localization", "preprocessing"])
def test_the_scan_is_above_the_fold(browser, dashboard_url, name):
    page = browser.new_context(viewport={"width": 1440, "height": HEIGHT}).new_page()
    page.goto(f"{dashboard_url}/{name}")
    scan = page.locator("canvas.axial, .st-key-study_bar")
    expect(scan.first).to_be_visible(timeout=FIRST_TIME_MS)
    settle(page)
    assert box_of(page, ".lab-header h1")["y"] < 40
    assert box_of(page, ".st-key-study_bar")["y"] < 100
    page.context.close()


def test_the_sidebar_folds_in_a_narrow_window_and_comes_back(browser, dashboard_url):
    page = browser.new_context(viewport={"width": 900, "height": HEIGHT}).new_page()
    page.goto(f"{dashboard_url}/overview")
    expect(page.locator(".lab-hero h1")).to_be_visible(timeout=FIRST_TIME_MS)
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar).to_have_attribute("data-collapsed", "true")
    page.get_by_test_id("stExpandSidebarButton").click()
    expect(sidebar).to_have_attribute("data-collapsed", "false")
    page.get_by_test_id("stSidebarNavLink").filter(has_text="Dataset").click()
    expect(sidebar).to_have_attribute("data-collapsed", "true")
    page.set_viewport_size({"width": 1440, "height": HEIGHT})
    expect(sidebar).to_have_attribute("data-collapsed", "false")
    page.set_viewport_size({"width": 900, "height": HEIGHT})
    expect(sidebar).to_have_attribute("data-collapsed", "true")
    page.context.close()
