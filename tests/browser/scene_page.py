"""The 3D page as its browser tests see it: pixels, camera, colours, bytes."""

from __future__ import annotations

import io
import re

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from tests.browser.waiting import FIRST_TIME_MS, refusals, settle


class Traffic:
    """What comes over the wire: bytes of the scene's routes, and of the page's socket."""

    def __init__(self, page):
        self.scene, self.asked, self.socket, self.failed, self._urls = {}, [], 0, [], {}
        self.refused = []
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.requestWillBeSent", self._sent)
        session.on("Network.responseReceived", self._answered)
        session.on("Network.loadingFinished", self._finished)
        session.on("Network.webSocketFrameReceived", self._framed)

    def _sent(self, event):
        url = event["request"]["url"]
        if "/scenes/" in url:
            self.asked.append(url.split("/scenes/")[1])

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


def open_scene(webgl, url, *, height=1000):
    """The 3D page once its scene is whole and still, and what came over the wire for it."""
    page = webgl.new_context(viewport={"width": 1440, "height": height}).new_page()
    page.set_default_timeout(90_000)
    traffic = Traffic(page)
    traffic.refused = refusals(page)
    page.goto(f"{url}/spine_3d")
    expect(root_of(page)).to_have_attribute("data-ready", re.compile(r".+"), timeout=FIRST_TIME_MS)
    at_rest(page)
    return page, traffic


def at_rest(page):
    """Wait until the script, the camera and what is drawn after the first picture are done."""
    settle(page)
    root_of(page).evaluate(
        """root => new Promise(resolve => {
            const look = () => root.viewer?.whole && !root.viewer.flying && !root.viewer.pending
                ? resolve() : setTimeout(look, 50);
            look();
        })"""
    )
    settle(page)


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
