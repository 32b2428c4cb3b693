"""The Dataset and Preprocessing pages in a real browser: a click on a chart filters the studies."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.waiting import FIRST_TIME_MS, expect_fit, settle

pytestmark = pytest.mark.browser


def click_bar(page, chart, index):
    """Click a bar of the front trace once the chart has settled."""
    settle(page)
    bars = page.locator(".js-plotly-plot").nth(chart).locator(".barlayer .trace.bars").nth(1)
    bars.locator(".point path").nth(index).click(force=True)


def test_a_click_on_a_bar_filters_and_a_second_one_removes_it(page, dashboard_url, artifacts):
    page.goto(f"{dashboard_url}/dataset")
    expect(page.locator(".js-plotly-plot")).to_have_count(8, timeout=FIRST_TIME_MS)
    # C5 is the fractured vertebra of one of the two studies.
    click_bar(page, 0, 4)
    chip = page.get_by_role("button", name="C5 fractured")
    expect(chip).to_be_visible()
    expect(page).to_have_url(re.compile("vertebrae=C5"))
    listed = page.locator(".st-key-dataset_list").get_by_test_id("stDataFrame").first
    expect(listed).to_be_in_viewport(ratio=0.95)
    expect(page.get_by_role("button", name="Download 1 rows")).to_be_visible()
    page.screenshot(path=artifacts / "dataset_filtered.png", full_page=True)
    click_bar(page, 0, 4)
    expect(chip).to_have_count(0)
    expect(page).not_to_have_url(re.compile("vertebrae"))
    expect(page.get_by_role("button", name="Download 2 rows")).to_be_visible()


def test_a_clicked_row_has_its_picture_and_opens_in_view(page, dashboard_url, artifacts):
    pictures = []
    page.on("response", lambda r: pictures.append(r.status) if "/pictures/" in r.url else None)
    page.goto(f"{dashboard_url}/dataset")
    listed = page.locator(".st-key-dataset_list").get_by_test_id("stDataFrame").first
    expect(listed).to_be_visible(timeout=FIRST_TIME_MS)
    settle(page)
    listed.scroll_into_view_if_needed()
    listed.click(position={"x": 250, "y": 60})
    study = page.locator(".st-key-dataset_study")
    expect(study.locator("canvas.axial")).to_have_attribute("data-drawn", re.compile(r"\d+"))
    top = "e => e.getBoundingClientRect().top"
    page.wait_for_timeout(1500)
    assert -5 <= study.evaluate(top) < 450
    assert pictures
    assert set(pictures) == {200}
    page.screenshot(path=artifacts / "dataset_study.png")


@pytest.mark.parametrize("name", ["dataset", "preprocessing"])
def test_the_page_fits_at_two_widths_in_both_themes(page, dashboard_url, artifacts, name):
    page.goto(f"{dashboard_url}/{name}")
    ready = ".js-plotly-plot" if name == "dataset" else ".st-key-preview img"
    expect(page.locator(ready).first).to_be_visible(timeout=FIRST_TIME_MS)
    main = page.get_by_test_id("stMain")
    for width, scheme in ((1440, "light"), (900, "dark")):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        expect(page.get_by_test_id("stApp")).to_have_css("color-scheme", scheme)
        expect_fit(page)
        page.set_viewport_size({"width": width, "height": main.evaluate("e => e.scrollHeight")})
        page.screenshot(path=artifacts / f"{name}_{width}_{scheme}.png")
