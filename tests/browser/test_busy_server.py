"""A server that is as full as it may be: pages say so and go on by themselves."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.server import serve
from tests.browser.waiting import expect_study
from tests.dashboard.workplace import SOUND

LIMITS = {"MAX_SESSIONS": "1", "PIXEL_RATE": "1"}


@pytest.fixture(scope="module")
def narrow_url(workplace, repo_root, artifacts):
    with serve(repo_root, workplace.environment | LIMITS, artifacts / "narrow.log") as url:
        yield url


def test_pixels_wait_and_a_page_without_room_comes_when_there_is_some(
    browser, narrow_url, artifacts
):
    first, second = browser.new_context(), browser.new_context()
    refused = []
    page = first.new_page()
    page.on("response", lambda one: refused.append(one.url) if one.status == 429 else None)
    page.goto(f"{narrow_url}/diagnosis?study={SOUND}&slice=3")
    expect_study(page, 2, timeout=90_000)
    # The viewer asks for more slices than the four that may come at once, and waits as told.
    page.wait_for_timeout(8_000)
    assert refused
    assert all("/pixels/" in url for url in refused)
    expect(page.get_by_text("could not be loaded")).to_have_count(0)

    waiting = second.new_page()
    answer = waiting.goto(f"{narrow_url}/diagnosis")
    assert answer.status == 503
    expect(waiting.get_by_role("heading", name="No room at the moment")).to_be_visible()
    waiting.screenshot(path=artifacts / "no_room.png")
    first.close()
    expect_study(waiting, 1, timeout=90_000)
    second.close()
