from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.scene_place import write_scene_place
from tests.browser.server import serve
from tests.browser.waiting import refusals
from tests.dashboard.fixtures import at_work, workplace
from tests.dashboard.made_predictions import write_predictions_place

__all__ = ["at_work", "workplace"]

# A machine that trains a network on the side answers late, but it answers.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def dashboard_url(workplace, repo_root, artifacts) -> Iterator[str]:
    with serve(repo_root, workplace.environment, artifacts / "server.log") as url:
        yield url


@pytest.fixture(scope="session")
def browser(chromium_path):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def scene_url(repo_root, artifacts, tmp_path_factory):
    """A server with one study whose 3D scene needs no torch."""
    place = tmp_path_factory.mktemp("scene")
    environment = write_scene_place(place, repo_root / "checkpoints")
    with serve(repo_root, environment, artifacts / "scene_server.log") as url:
        yield url


@pytest.fixture(scope="session")
def evaluation_url(repo_root, artifacts, tmp_path_factory):
    """A server with two models and their predictions."""
    root = tmp_path_factory.mktemp("evaluation")
    write_predictions_place(root / "checkpoints", studies=30, slices=2_500, models=2)
    environment = {
        "CSPINE_VAR": str(root / "var"),
        "RSNA_CACHE": str(root / "var" / "cache"),
        "CHECKPOINTS": str(root / "checkpoints"),
    }
    with serve(repo_root, environment, artifacts / "evaluation_server.log") as url:
        yield url


@pytest.fixture(scope="session")
def webgl(browser, chromium_path):
    """A Chromium that draws WebGL by software."""
    drawing = browser.browser_type.launch(
        executable_path=chromium_path,
        args=["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
    )
    yield drawing
    drawing.close()


@pytest.fixture
def page(browser, dashboard_url):
    """A page at 1440 px that fails the test where it asks another host, breaks the content policy
    or shows an exception."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(90_000)
    page = context.new_page()
    foreign = []
    own = (dashboard_url, dashboard_url.replace("http", "ws"), "data:", "blob:")
    refused = refusals(page)
    page.on("request", lambda r: None if r.url.startswith(own) else foreign.append(r.url))
    yield page
    assert foreign == []
    assert refused == []
    assert page.get_by_test_id("stException").count() == 0
    context.close()
