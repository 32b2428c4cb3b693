"""The slice viewer in a real Chromium: its pixels, its gestures and what Python hears of them."""

from __future__ import annotations

import io
import re
import time
import zipfile

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from core.constants import DISPLAY_WINDOWS
from core.dicom.series import read_series
from core.preprocessing.intensity import window_to_uint8
from core.types import HuWindow
from tests.browser.test_dashboard import open_diagnosis
from tests.browser.waiting import FIRST_TIME_MS, settle
from tests.dashboard.workplace import FRACTURED, N_SLICES

pytestmark = pytest.mark.browser


@pytest.fixture
def viewer(page, dashboard_url):
    """The page with the first study on show, at rest: a key must not meet its redrawing."""
    page.goto(f"{dashboard_url}/diagnosis")
    expect(page.locator(".lab-verdict").first).to_be_visible(timeout=FIRST_TIME_MS)
    expect(axial(page)).to_have_attribute("data-drawn", re.compile(r"\d+"))
    settle(page)
    return page


@pytest.fixture(scope="module")
def hu(workplace):
    return read_series(workplace.var / "demo" / "train_images" / FRACTURED).hu


def axial(page):
    return page.locator("canvas.axial")


def go_to(page, index):
    axial(page).press("Home")
    for _ in range(index):
        axial(page).press("ArrowDown")
    expect(axial(page)).to_have_attribute("data-drawn", str(index))


def plain(page):
    """Pixels as blocks and no crosshair, so that each can be compared."""
    axial(page).press("u")
    expect(page.locator('[data-command="smooth"]')).to_have_attribute("aria-pressed", "false")
    page.locator('[data-panes="1"]').click()
    expect(page.locator('button[data-panes="1"]')).to_have_attribute("aria-pressed", "true")


def drawn(page, kind="axial"):
    """What the pane shows at the centre of each pixel of its image: uint8 (rows, columns)."""
    return np.array(
        page.locator(f"canvas.{kind}").evaluate(
            """canvas => {
                const viewer = canvas.getRootNode().querySelector('.viewer').viewer;
                const pane = viewer.panes[canvas.classList[0]];
                const { width, height, sx, sy, left, top } = pane.layout();
                const context = canvas.getContext('2d');
                const red = (x, y) => context.getImageData(x, y, 1, 1).data[0];
                const pixel = (u, v) =>
                    red(Math.floor(left + (u + .5) * sx), Math.floor(top + (v + .5) * sy));
                return [...Array(height).keys()].map(
                    v => [...Array(width).keys()].map(u => pixel(u, v)));
            }"""
        ),
        np.uint8,
    )


def inner(picture):
    """Away from the writing at the edges and corners, and from the scale bar."""
    return picture[10:52, 14:50]


def expect_drawn(page, expected):
    """Wait until the pane shows these pixels; the frame that draws them may come late."""
    deadline = time.monotonic() + 20
    while (inner(drawn(page)) != inner(expected)).any() and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    np.testing.assert_array_equal(inner(drawn(page)), inner(expected))


def test_the_pixels_are_those_of_the_windowing_in_numpy(viewer, hu):
    plain(viewer)
    for index, name in ((3, "bone"), (9, "soft tissue"), (0, "lung")):
        go_to(viewer, index)
        viewer.locator("select.preset").select_option(name)
        expect_drawn(viewer, window_to_uint8(hu[index], HuWindow(*DISPLAY_WINDOWS[name])))


def test_what_is_inverted_mirrored_or_a_slab_equals_numpy(viewer, hu):
    plain(viewer)
    go_to(viewer, 4)
    window = HuWindow(*DISPLAY_WINDOWS["bone"])
    axial(viewer).press("i")
    expect_drawn(viewer, 255 - window_to_uint8(hu[4], window))
    axial(viewer).press("i")
    # The same pixels, each where its mirror image was; the letters have changed sides.
    axial(viewer).press("h")
    axial(viewer).press("v")
    expect_drawn(viewer, window_to_uint8(hu[4], window))
    sx, sy = axial(viewer).evaluate(
        "c => { const { sx, sy } = c.getRootNode().querySelector('.viewer').viewer.panes.axial"
        ".layout(); return [sx, sy]; }"
    )
    assert (sx < 0, sy < 0) == (True, True)
    words = [text for text, *_ in axial(viewer).evaluate(WRITTEN)]
    assert words.index("L") < words.index("R")
    assert words.index("P") < words.index("A")
    axial(viewer).press("r")
    # The slices are 3 mm apart: three of them within 6 mm.
    stack = hu[3:6].astype(float)
    viewer.locator("details.display summary").click()
    viewer.locator("input.slab-mm").fill("6")
    for name, combined in (
        ("mip", stack.max(0)),
        ("minip", stack.min(0)),
        ("mean", np.rint(stack.mean(0))),
    ):
        viewer.locator("select.slab").select_option(name)
        expect_drawn(viewer, window_to_uint8(combined.astype(np.int16), window))


def test_wheel_keys_and_ribbon_move_the_slice_and_python_follows(page, dashboard_url):
    open_diagnosis(page, dashboard_url)
    viewer = page
    expect(viewer).to_have_url(re.compile(r"slice=\d"))
    there = 10
    go_to(viewer, 2)
    expect(viewer).to_have_url(re.compile(r"slice=2\b"))
    axial(viewer).hover()
    viewer.mouse.wheel(0, 120)
    expect(axial(viewer)).to_have_attribute("aria-valuenow", "3")
    viewer.mouse.wheel(0, -120)
    viewer.mouse.wheel(0, -120)
    expect(axial(viewer)).to_have_attribute("aria-valuenow", "1")
    ribbon = viewer.locator("canvas.ribbon")
    y = ribbon.evaluate("c => c.getRootNode().querySelector('.viewer').viewer.ribbon.trackHeight")
    ribbon.click(position={"x": 50, "y": 28 + y * (there + 0.5) / N_SLICES})
    expect(axial(viewer)).to_have_attribute("data-drawn", str(there))
    expect(viewer).to_have_url(re.compile(rf"slice={there}\b"))
    settle(viewer)
    expect(axial(viewer)).to_have_attribute("aria-valuenow", str(there))
    # The button leads to the study's highest slice, and to the same one from anywhere.
    study = viewer.get_by_role("button", name="Peak", exact=True)
    study.click()
    expect(viewer).not_to_have_url(re.compile(rf"slice={there}\b"))
    settle(viewer)
    highest = re.search(r"slice=(\d+)", viewer.url).group(1)
    expect(axial(viewer)).to_have_attribute("aria-valuenow", highest)
    go_to(viewer, there)
    expect(viewer).to_have_url(re.compile(rf"slice={there}\b"))
    study.click()
    expect(viewer).to_have_url(re.compile(rf"slice={highest}\b"))


def test_dragging_windows_r_resets_and_a_double_click_fills(viewer):
    axial(viewer).hover()  # In the window, and not moving any more.
    box = axial(viewer).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    viewer.locator(".viewer").evaluate(
        "root => { root.told = 0; root.viewer.setStateValue = () => { root.told += 1; }; }"
    )
    viewer.mouse.move(x, y)
    viewer.mouse.down()
    viewer.mouse.move(x + 60, y + 40, steps=5)
    viewer.mouse.up()
    viewer.wait_for_timeout(400)
    assert viewer.locator(".viewer").evaluate("root => root.told") == 0
    width, center = viewer.locator("input.width"), viewer.locator("input.center")
    assert int(width.input_value()) > 1900
    assert int(center.input_value()) > 500
    axial(viewer).press("+")
    axial(viewer).dblclick()
    expect(viewer.locator("canvas.sagittal")).to_be_hidden()
    axial(viewer).dblclick()
    expect(viewer.locator("canvas.sagittal")).to_be_visible()
    axial(viewer).press("r")
    expect(width).to_have_value("1800")
    expect(center).to_have_value("400")
    assert (
        axial(viewer).evaluate(
            "c => c.getRootNode().querySelector('.viewer').viewer.panes.axial.view.zoom"
        )
        == 1
    )


def test_a_link_opens_its_slice_and_the_planes_are_linked(page, dashboard_url, hu, artifacts):
    page.goto(f"{dashboard_url}/diagnosis?study={FRACTURED}&slice=4")
    expect(axial(page)).to_have_attribute("data-drawn", "4", timeout=FIRST_TIME_MS)
    axial(page).press("u")
    page.locator('[data-panes="3"]').click()
    expect(page.locator("canvas.sagittal")).to_have_attribute("data-drawn", "33")
    page.locator("canvas.sagittal").press("ArrowRight")
    expect(page.locator("canvas.sagittal")).to_have_attribute("aria-valuenow", "34")
    size = page.locator("canvas.coronal").bounding_box()
    page.locator("canvas.coronal").click(position={"x": size["width"] / 2, "y": size["height"] / 2})
    expect(page.locator("canvas.axial")).not_to_have_attribute("aria-valuenow", "4")
    page.locator("canvas.coronal").hover()
    expect(page.locator(".readout")).to_contain_text("HU · LPS")
    expect(page.locator("canvas.axial")).to_have_attribute("data-drawn", re.compile(r"\d+"))
    page.locator("canvas.axial").hover(position={"x": 150, "y": 220})
    shown = page.locator(".readout").inner_text()
    level, x, y, z = re.search(r"(−?\d+) HU .* x (\d+), y (\d+), slice (\d+)", shown).groups()
    assert int(level.replace("−", "-")) == hu[int(z), int(y), int(x)]
    # Scrolling below a pointer that rests changes what is under it.
    page.mouse.wheel(0, 100)
    expect(page.locator(".readout")).to_contain_text(f"slice {int(z) + 1}")
    shown = page.locator(".readout").inner_text()
    level = re.match(r"−?\d+", shown).group().replace("−", "-")
    assert int(level) == hu[int(z) + 1, int(y), int(x)]
    zoom = "c => c.getRootNode().querySelector('.viewer').viewer.panes.axial.view.zoom"
    page.keyboard.down("Control")
    steps = []
    for turned in (100, 120, 53, -100, -53, -120):
        page.mouse.wheel(0, -turned)
        page.wait_for_timeout(60)
        steps.append(page.locator("canvas.axial").evaluate(zoom))
    page.keyboard.up("Control")
    assert steps == pytest.approx([1.25, 1.25**2, 1.25**3, 1.25**2, 1.25, 1])
    page.screenshot(path=artifacts / "viewer_planes.png")


def test_a_screenshot_holds_the_picture_and_the_memory_is_freed_on_leaving(viewer):
    with viewer.expect_download() as coming:
        axial(viewer).press("g")
    assert re.fullmatch(r"slice_\d+\.png", coming.value.suggested_filename)
    picture = Image.open(coming.value.path())
    assert picture.size[0] > 200
    assert len(np.unique(np.asarray(picture.convert("L")))) > 20
    handle = viewer.locator(".viewer").evaluate_handle("root => root.viewer")
    viewer.get_by_role("link", name="Overview").click()
    expect(viewer.locator("canvas.axial")).to_have_count(0)
    assert handle.evaluate("v => v.slices === null && v.panes.axial.canvas.width === 0")


def zipped(*files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return stream.getvalue()


def upload(page, name, content):
    field = page.get_by_test_id("stFileUploader").locator("input[type=file]")
    field.set_input_files({"name": name, "mimeType": "application/zip", "buffer": content})


def test_uploads_good_corrupt_empty_and_nested(page, dashboard_url, workplace, hu):
    page.goto(f"{dashboard_url}/diagnosis")
    expect(axial(page)).to_have_attribute("data-drawn", re.compile(r"\d+"), timeout=FIRST_TIME_MS)
    settle(page)
    page.locator(".st-key-source_popover button").first.click()
    page.get_by_test_id("stButtonGroup").get_by_text("Upload", exact=True).click()
    series = workplace.var / "demo" / "train_images" / FRACTURED
    files = [(path.name, path.read_bytes()) for path in series.iterdir()]
    error = page.get_by_test_id("stAlert")
    good = zipped(*files)
    upload(page, "corrupt.zip", good[: len(good) // 2])
    expect(error).to_contain_text("damaged or not a zip")
    upload(page, "empty.zip", zipped())
    expect(error).to_contain_text("holds no files")
    upload(page, "nested.zip", zipped(*((f"a/b c/{name}", content) for name, content in files)))
    expect(axial(page)).to_have_attribute("data-drawn", re.compile(r"\d+"), timeout=FIRST_TIME_MS)
    # The page is drawn again when the verdict comes; a click in that moment could be lost.
    expect(page.locator(".lab-verdict")).to_be_visible(timeout=FIRST_TIME_MS)
    plain(page)
    go_to(page, 5)
    expected = window_to_uint8(hu[5], HuWindow(*DISPLAY_WINDOWS["bone"]))
    expect_drawn(page, expected)
    told = axial(page).evaluate(
        "c => { const d = c.getRootNode().querySelector('.viewer').viewer.data;"
        " return [d.source, d.proof]; }"
    )
    url = f"{dashboard_url}/pixels/{told[0]}/slice/0"
    assert page.request.get(url).status == 404
    assert page.request.get(url, headers={"X-Viewer-Session": told[1]}).status == 200


TURNS = """(canvas, turns) => {
    const pane = canvas.getRootNode().querySelector('.viewer').viewer.panes.axial;
    return turns.map(([deltaY, deltaMode, wheelDeltaY]) => {
        pane.reset();
        const event = new WheelEvent('wheel', {
            deltaY, deltaMode, ctrlKey: true, cancelable: true, clientX: 200, clientY: 300 });
        Object.defineProperty(event, 'wheelDeltaY', { value: wheelDeltaY });
        canvas.dispatchEvent(event);
        return pane.view.zoom;
    });
}"""


def test_a_notch_zooms_by_one_step_in_every_unit_and_a_touchpad_by_its_way(viewer):
    # Pixels at scales of 100 %, 125 % and 300 %, lines of Firefox, pages; then two notches at once.
    notches = [(-100, 0, 120), (-80, 0, 120), (-33.33, 0, 120), (-3, 1, 120), (-3, 1, 0),
               (-1, 2, 120), (-1, 2, 0)]  # fmt: skip
    zooms = axial(viewer).evaluate(TURNS, notches)
    assert zooms == pytest.approx([1.25] * len(notches))
    twice, back = axial(viewer).evaluate(TURNS, [(-200, 0, 240), (100, 0, -120)])
    assert (twice, back) == (pytest.approx(1.25**2), pytest.approx(1 / 1.25))
    # Pinching reports small steps, and scrolling with two fingers 3 for each pixel.
    small, double, pinch = axial(viewer).evaluate(TURNS, [(-4, 0, 12), (-8, 0, 24), (-40, 0, 120)])
    assert double == pytest.approx(small**2)
    assert pinch == pytest.approx(small**10)
    assert small > 1


WRITTEN = """async canvas => {
    const viewer = canvas.getRootNode().querySelector('.viewer').viewer;
    const found = [];
    const plain = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text, x, y, most) {
        const { width, actualBoundingBoxAscent: up, actualBoundingBoxDescent: down } =
            this.measureText(text);
        const wide = Math.min(width, most ?? Infinity);
        const left = { left: x, right: x - wide, center: x - wide / 2 }[this.textAlign];
        const { a, e, f } = this.getTransform();
        const [w, h] = [this.canvas.clientWidth, this.canvas.clientHeight];
        if (this.canvas.className !== 'ribbon')
            found.push([text, left + e / a, left + wide + e / a,
                y - up + f / a, y + down + f / a, w, h]);
        return plain.call(this, text, x, y, most);
    };
    viewer.panes.axial.zoomAt(5, 5, 3);
    viewer.redraw();
    await new Promise(done => setTimeout(done, 400));
    CanvasRenderingContext2D.prototype.fillText = plain;
    viewer.panes.axial.reset();
    return found;
}"""


@pytest.mark.parametrize("width", [1440, 900, 620, 400])
def test_everything_written_stays_within_its_pane(page, dashboard_url, artifacts, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{dashboard_url}/dataset?study={FRACTURED}")
    expect(axial(page)).to_have_attribute("data-drawn", "4", timeout=FIRST_TIME_MS)
    page.locator('[data-panes="3"]').click()
    expect(page.locator("canvas.coronal")).to_have_attribute("data-drawn", re.compile(r"\d"))
    found = axial(page).evaluate(WRITTEN)
    assert {text for text, *_ in found} >= {"sagittal", "coronal", "300 %"} or width < 620
    for text, left, right, top, bottom, wide, high in found:
        assert left >= 0, text
        assert right <= wide, text
        assert top >= 0, text
        assert bottom <= high, text
    page.screenshot(path=artifacts / f"viewer_written_{width}.png")
