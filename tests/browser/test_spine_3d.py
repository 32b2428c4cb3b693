"""The 3D page in a Chromium that draws WebGL by software."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.scene_place import SUSPECT, write_scene_place
from tests.browser.server import serve
from tests.browser.test_dashboard import FIRST_TIME_MS, settle

pytestmark = pytest.mark.browser

MAX_BYTES = 4_000_000


@pytest.fixture(scope="module")
def scene_url(repo_root, artifacts, tmp_path_factory):
    place = tmp_path_factory.mktemp("scene")
    environment = write_scene_place(place, repo_root / "checkpoints")
    with serve(repo_root, environment, artifacts / "scene_server.log") as url:
        yield url


@pytest.fixture(scope="module")
def webgl(browser, chromium_path):
    drawing = browser.browser_type.launch(
        executable_path=chromium_path,
        args=["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
    )
    yield drawing
    drawing.close()


class Traffic:
    """What comes over the wire: bytes of the scene's routes, and of the page's socket."""

    def __init__(self, page):
        self.scene, self.socket, self.failed, self._urls = {}, 0, [], {}
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.responseReceived", self._answered)
        session.on("Network.loadingFinished", self._finished)
        session.on("Network.webSocketFrameReceived", self._framed)

    def _answered(self, event):
        answer = event["response"]
        self._urls[event["requestId"]] = answer["url"]
        if answer["status"] >= 400:
            self.failed.append((answer["status"], answer["url"]))

    def _finished(self, event):
        url = self._urls.get(event["requestId"], "")
        if "/scenes/" in url:
            self.scene[url] = self.scene.get(url, 0) + event["encodedDataLength"]

    def _framed(self, event):
        self.socket += len(event["response"]["payloadData"])


def root_of(page):
    return page.locator('[data-part="root"]')


def picture(page):
    """The scene as it is seen, without the controls that lie over it: int (h, w, 3)."""
    root_of(page).evaluate(
        """root => root.querySelectorAll('.lab3d-looks, .lab3d-legend, .lab3d-names')
            .forEach(part => { part.style.visibility = 'hidden'; })"""
    )
    page.wait_for_timeout(500)
    shot = page.locator('[data-part="canvas"]').screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)


def show_controls(page):
    root_of(page).evaluate(
        """root => root.querySelectorAll('.lab3d-looks, .lab3d-legend, .lab3d-names')
            .forEach(part => { part.style.visibility = ''; })"""
    )


def red(seen):
    """Pixels in the colour of a called vertebra; fracture lines are pink, boxes green."""
    r, g, b = np.moveaxis(seen, -1, 0)
    return int(((r > 90) & (g < 0.6 * r) & (b < 0.35 * r)).sum())


def state_of(page):
    return root_of(page).evaluate(
        """root => {
            const v = root.viewer;
            const { position, focus, up } = v.cameraState();
            return {
                camera: [...position, ...focus, ...up],
                built: v.pieces.map(p => [p.name, p.data.getMTime()]),
                colors: Object.fromEntries(
                    v.pieces.filter(p => p.kind === 'vertebra').map(p => [p.name, p.color])),
                threshold: v.values.threshold,
            };
        }"""
    )


def drag_threshold(page, value):
    """Move the slider as a hand does: input events, then a change that Python hears of."""
    root_of(page).locator('[data-part="threshold"]').evaluate(
        """(slider, value) => {
            slider.value = value;
            slider.dispatchEvent(new Event('input', { bubbles: true }));
            slider.dispatchEvent(new Event('change', { bubbles: true }));
        }""",
        value,
    )


def test_the_scene_is_drawn_once_recoloured_in_place_and_keeps_its_camera(
    webgl, scene_url, artifacts
):
    page = webgl.new_context(viewport={"width": 1440, "height": 1000}).new_page()
    page.set_default_timeout(90_000)
    traffic = Traffic(page)
    page.goto(f"{scene_url}/spine_3d")
    root = root_of(page)
    expect(root).to_have_attribute("data-ready", re.compile(r".+"), timeout=FIRST_TIME_MS)
    settle(page)

    seen = picture(page)
    assert len(np.unique(seen.reshape(-1, 3), axis=0)) > 200
    assert red(seen) > 200
    start = state_of(page)
    assert {name for name, _ in start["built"]} >= {"C1", "C2", "C3", "C4", "C5", "C6", "C7"}
    called = [name for name, (r, g, _) in start["colors"].items() if g < 0.6 * r]
    assert called == [SUSPECT]
    assert 0 < sum(traffic.scene.values()) < MAX_BYTES
    show_controls(page)
    page.screenshot(path=artifacts / "spine_3d_1440.png", full_page=True)

    page.get_by_role("button", name="Left", exact=True).click()
    page.wait_for_timeout(1500)
    turned = state_of(page)
    assert turned["camera"] != start["camera"]

    # Above the only suspicious vertebra: nothing is called, and no surface is touched.
    drag_threshold(page, 0.95)
    settle(page)
    after = state_of(page)
    assert red(picture(page)) == 0
    assert after["colors"][SUSPECT] != start["colors"][SUSPECT]
    assert after["built"] == turned["built"]
    assert after["camera"] == turned["camera"]

    assert page.get_by_test_id("stException").count() == 0
    page.context.close()
