"""The first load of each page: styles before the first text, and nothing that moves."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.waiting import FIRST_TIME_MS, settle

pytestmark = pytest.mark.browser

MOST_SHIFT = 0.1
"""Cumulative layout shift up to which a page counts as good (web.dev, "CLS")."""
WATCH = """
window.shifts = 0;
new PerformanceObserver(list => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
}).observe({ type: 'layout-shift', buffered: true });
const look = () => {
    const text = document.querySelector('.stApp h1, .stApp p');
    if (!text) return requestAnimationFrame(look);
    const app = getComputedStyle(document.querySelector('.stApp'));
    window.styledAtFirst = app.getPropertyValue('--lab-ink') !== '';
};
look();
"""


@pytest.mark.parametrize(
    "name",
    ["overview", "dataset", "preprocessing", "diagnosis", "localization", "spine_3d", "training",
     "evaluation", "reader_study"],
)  # fmt: skip
def test_a_cold_page_is_styled_and_keeps_still(browser, dashboard_url, name):
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.add_init_script(WATCH)
    page.goto(f"{dashboard_url}/{name}")
    expect(page.locator(".lab-header h1, .lab-hero h1")).to_be_visible(timeout=FIRST_TIME_MS)
    settle(page)
    page.wait_for_timeout(1500)
    settle(page)
    assert page.evaluate("window.styledAtFirst") is True
    assert page.evaluate("window.shifts") <= MOST_SHIFT
    expect(page.locator("html.lab-covered")).to_have_count(0)
    context.close()


def test_without_its_script_the_cover_goes_by_itself(browser, dashboard_url):
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    # The script of the cover takes the class away; here it comes back, as if that had failed.
    page.add_init_script(
        "setInterval(() => document.documentElement.classList.add('lab-covered'), 20);"
    )
    page.goto(f"{dashboard_url}/overview")
    expect(page.locator(".lab-hero h1")).to_be_visible(timeout=FIRST_TIME_MS)
    context.close()
