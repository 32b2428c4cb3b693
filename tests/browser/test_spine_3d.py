"""The 3D page in a Chromium that draws WebGL by software."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.scene_page import (
    at_rest,
    drag_threshold,
    open_scene,
    picture,
    red,
    root_of,
    show_controls,
    state_of,
)
from tests.browser.scene_place import SUSPECT

pytestmark = pytest.mark.browser

MAX_BYTES = 4_000_000


def test_the_scene_is_drawn_once_recoloured_in_place_and_keeps_its_camera(
    webgl, scene_url, artifacts
):
    page, traffic = open_scene(webgl, scene_url)

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
    at_rest(page)
    turned = state_of(page)
    assert turned["camera"] != start["camera"]
    asked = list(traffic.asked)

    # Above the only suspicious vertebra: nothing is called, and no surface is touched.
    drag_threshold(page, 0.95)
    at_rest(page)
    after = state_of(page)
    assert red(picture(page)) == 0
    assert after["colors"][SUSPECT] != start["colors"][SUSPECT]
    assert after["threshold"] == 0.95
    assert after["built"] == turned["built"]
    assert after["camera"] == turned["camera"]
    assert traffic.asked == asked

    assert page.get_by_test_id("stException").count() == 0
    assert traffic.refused == []
    page.context.close()


def test_a_widget_elsewhere_sends_nothing_again_and_leaves_the_camera(webgl, scene_url):
    page, traffic = open_scene(webgl, scene_url)
    page.get_by_role("button", name="Oblique", exact=True).click()
    at_rest(page)
    page.locator('[data-part="canvas"] canvas').evaluate("canvas => { canvas.marked = true; }")
    before, asked, sent = state_of(page), list(traffic.asked), traffic.socket

    page.get_by_test_id("stSidebar").get_by_role("button", name="Glossary").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    at_rest(page)

    assert traffic.socket > sent, "the script did not run, so this shows nothing"
    assert traffic.asked == asked
    assert state_of(page) == before
    assert page.locator('[data-part="canvas"] canvas').evaluate("canvas => canvas.marked")
    page.context.close()


def test_the_rest_of_the_bone_and_the_cube_follow_the_first_picture(webgl, scene_url):
    page, _ = open_scene(webgl, scene_url)
    assert root_of(page).evaluate("root => root.viewer.cube.getEnabled()")
    whole = picture(page)
    show_controls(page)
    page.get_by_label("other bone").uncheck()
    at_rest(page)
    assert np.abs(picture(page) - whole).max(axis=-1).astype(bool).mean() > 0.05
    page.context.close()


@pytest.mark.parametrize("kind", ["predicted_boxes", "true_boxes"])
def test_the_camera_goes_to_the_side_of_the_fracture(webgl, scene_url, kind):
    page, _ = open_scene(webgl, scene_url)
    for x, y in ((0, 15), (15, 0), (-12, -12)):
        root_of(page).evaluate(
            """(root, [kind, suspect, x, y]) => {
                const viewer = root.viewer;
                viewer.pieces = viewer.pieces.filter((piece) => piece.kind !== "fracture");
                const { bounds } = viewer.vertebrae.find((piece) => piece.name === suspect);
                const [p, q, z] = [0, 2, 4].map((a) => (bounds[a] + bounds[a + 1]) / 2);
                const square = [[-1, -1], [1, -1], [1, 1], [-1, 1]];
                const corners = [-1, 1].flatMap((c) => square.map(
                    ([a, b]) => [p + x + a, q + y + b, z + c]));
                const boxes = { true_boxes: [], predicted_boxes: [] };
                boxes[kind] = [{ corners, vertebra: suspect }];
                viewer.setInfo({ ...viewer.info, ...boxes });
            }""",
            [kind, SUSPECT, x, y],
        )
        page.get_by_role("button", name="Most suspicious", exact=True).click()
        at_rest(page)
        camera = state_of(page)["camera"]
        looked = np.subtract(camera[:2], camera[3:5])
        assert np.dot(looked, (x, y)) / np.linalg.norm(looked) / np.hypot(x, y) > 0.99
    page.context.close()


def test_surfaces_that_are_still_being_built_are_asked_for_until_they_come(webgl, scene_url):
    page = webgl.new_context(viewport={"width": 1440, "height": 1000}).new_page()
    page.set_default_timeout(90_000)
    waited = []

    def answer(route):
        if len(waited) < 2:
            waited.append(route.request.url)
            route.fulfill(status=202)
        else:
            route.continue_()

    page.route("**/scenes/*/parts", answer)
    page.goto(f"{scene_url}/spine_3d")
    expect(root_of(page)).to_have_attribute("data-ready", re.compile(".+"), timeout=150_000)
    assert len(waited) == 2
    page.context.close()


def test_a_viewer_that_never_starts_ends_in_a_reason_and_the_second_renderer(webgl, scene_url):
    page = webgl.new_context(viewport={"width": 1440, "height": 1000}).new_page()
    page.set_default_timeout(90_000)
    # The second renderer, in a frame, asks for the same file.
    page.route("**/vtk.js", lambda route: route.request.frame.parent_frame and route.continue_())
    page.goto(f"{scene_url}/spine_3d")
    reason = page.get_by_text("The 3D viewer did not start (no scene after 20 s)")
    expect(reason).to_be_visible(timeout=120_000)
    expect(second_scene(page)).to_be_visible(timeout=150_000)
    assert page.get_by_test_id("stException").count() == 0
    page.context.close()


def test_the_second_renderer_asks_no_other_host_and_a_rerun_leaves_it_alone(
    webgl, scene_url, artifacts
):
    page, traffic = open_scene(webgl, scene_url)
    foreign, opened = [], []
    own = (scene_url, scene_url.replace("http", "ws"), "data:", "blob:", "about:")
    page.on("request", lambda r: None if r.url.startswith(own) else foreign.append(r.url))
    page.on("framenavigated", lambda frame: opened.append(frame.url))
    page.get_by_role("button", name="Open in PyVista").click()
    expect(second_scene(page)).to_be_visible(timeout=150_000)
    page.wait_for_timeout(3000)
    shot = page.locator("#stpyvistaframe").screenshot(path=artifacts / "second_renderer.png")
    seen = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)
    assert len(np.unique(seen.reshape(-1, 3), axis=0)) > 200

    asked, frames = list(traffic.asked), len(opened)
    page.get_by_test_id("stSidebar").get_by_role("button", name="Glossary").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    at_rest(page)
    assert traffic.asked == asked
    assert len(opened) == frames
    assert foreign == []
    assert traffic.refused == []
    page.context.close()


def second_scene(page):
    """The canvas of the page that stpyvista shows in a frame."""
    return page.frame_locator("#stpyvistaframe").locator("canvas").first


# A picture takes long here, as it does where a processor draws a large scene.
SLOW = """root => {
    const { viewer } = root;
    viewer.scene.getInteractor().onRenderEvent(() => {
        const end = performance.now() + 250;
        while (performance.now() < end);
    });
}"""


def drag(page, steps, pause_ms):
    """Drag 200 px to the right, in steps; by how many degrees the camera turns."""
    page.get_by_role("button", name="Anterior", exact=True).click()
    at_rest(page)
    box = page.locator('[data-part="canvas"]').bounding_box()
    x, y = box["x"] + box["width"] / 2 - 100, box["y"] + box["height"] / 2
    before = azimuth(page)
    page.mouse.move(x, y)
    page.wait_for_timeout(300)
    page.mouse.down()
    for step in range(1, steps + 1):
        page.mouse.move(x + 200 * step / steps, y)
        page.wait_for_timeout(pause_ms)
    page.mouse.up()
    at_rest(page)
    return (before - azimuth(page)) % 360


def azimuth(page):
    camera = state_of(page)["camera"]
    x, y = np.subtract(camera[:2], camera[3:5])
    return np.degrees(np.arctan2(y, x))


@pytest.mark.parametrize("slow", [False, True])
def test_a_drag_turns_by_its_length_at_any_pace_and_frame_rate(webgl, scene_url, slow):
    page, _ = open_scene(webgl, scene_url)
    if slow:
        root_of(page).evaluate(SLOW)
    width = page.locator('[data-part="canvas"]').bounding_box()["width"]
    # vtk.js: 20 / width for each pixel, ten times.
    expected = 200 * 200 / width
    for steps, pause_ms in ((20, 20), (20, 50), (2, 0)):
        assert drag(page, steps, pause_ms) == pytest.approx(expected, rel=0.05)
    page.context.close()
