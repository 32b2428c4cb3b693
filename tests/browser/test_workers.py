"""A browser whose worker is killed: the page comes back on another one."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from benchmarks.load_test import server_at
from scripts.install import SetupError
from scripts.proxy import find_haproxy
from tests.browser.server import port_of, serve
from tests.browser.waiting import expect_study, settle
from tests.dashboard.workplace import SOUND


@pytest.fixture(scope="module")
def workers_url(workplace, repo_root, artifacts):
    try:
        find_haproxy()
    except SetupError:
        pytest.skip("HAProxy is not installed (apt-get install haproxy).")
    log = artifacts / "workers.log"
    with serve(repo_root, workplace.environment, log, workers=2) as url:
        yield url


def test_an_open_page_goes_on_with_the_state_of_its_url(browser, workers_url):
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(60_000)
    page = context.new_page()
    name = f"cspine_worker_{port_of(workers_url)}"

    def worker() -> str:
        return next(one["value"] for one in context.cookies() if one["name"] == name)

    page.goto(f"{workers_url}/diagnosis?study={SOUND}&slice=3")
    expect_study(page, 2, timeout=60_000)
    settle(page, looks=60)
    before = worker()
    # The next drawing sets the title again.
    page.evaluate("document.title = 'drawn before'")
    server_at(port_of(workers_url) + int(before[1:])).kill()
    expect(page).not_to_have_title("drawn before", timeout=60_000)
    assert worker() != before
    expect_study(page, 2, timeout=60_000)
    assert f"study={SOUND}" in page.url
    assert "slice=3" in page.url
    expect(page.get_by_text("could not be loaded")).to_have_count(0)
    page.get_by_role("link", name="Dataset").first.click()
    expect(page.get_by_role("heading", name="Dataset", level=1)).to_be_visible()
    expect(page.locator("[data-testid=stException]")).to_have_count(0)
    context.close()
