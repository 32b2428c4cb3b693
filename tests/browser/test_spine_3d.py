from __future__ import annotations

import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from core import atomic
from core.data.dicom_series import read_series
from core.data.fingerprint import fingerprint_folder
from core.data.masks import load_vertebra_mask, presence_from_mask
from core.data.phantom.cohort import write_cohort
from core.data.rsna import read_studies
from core.inference.outputs import write_predictions
from core.models.bundles import list_bundles, read_bundle
from core.models.pairs import BundlePair
from core.types import SlicePredictions
from tests.browser.server import serve
from tests.browser.test_dashboard import choose_study, settle
from tests.dashboard.workplace import Workplace

pytestmark = pytest.mark.browser

FIRST_TIME_MS = 150_000
MOST_BYTES = 4_000_000
TASKS = (
    ("vertebra", "vertebra-made"),
    ("fracture", "fracture-made"),
    ("fracture", "fracture-second"),
)
"""Bundles that are never run: what they would say is written beforehand."""
SOFTWARE_WEBGL = [
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]
SCENE = '[data-part="root"][data-ready]'


@pytest.fixture(scope="module")
def neck_url(tmp_path_factory, repo_root, artifacts):
    """A server over two synthetic necks, one with a fracture."""
    place = Workplace(tmp_path_factory.mktemp("neck"))
    write_cohort(place.var / "demo", studies=2, seed=13, jobs=1, matrix=96)
    shipped = list_bundles(repo_root / "checkpoints")
    for task, name in TASKS:
        bundle = next(b for b in shipped if b.config.task == task)
        shutil.copytree(bundle.folder, place.checkpoints / name)
        file = place.checkpoints / name / "config.json"
        digest = f"{len(name):064x}"
        atomic.write_json(
            file, json.loads(file.read_text()) | {"name": name, "weights_sha256": digest}
        )
    write_readings(place)
    with serve(repo_root, place.environment, artifacts / "server_3d.log") as url:
        yield url


def write_readings(place):
    """What two pairs of networks would have said: C5 is broken, or C2 is."""
    vertebra = read_bundle(place.checkpoints / "vertebra-made")
    for record in read_studies(place.var / "demo"):
        volume = read_series(record.folder)
        presence = presence_from_mask(load_vertebra_mask(record.mask_file, volume))
        for name, broken in (("fracture-made", 4), ("fracture-second", 1)):
            pair = BundlePair(vertebra, read_bundle(place.checkpoints / name))
            probs = np.full((volume.n_slices, 7), 0.1, np.float32)
            probs[:, broken] = 0.9
            said = SlicePredictions(
                study_id=record.study_id,
                z_mm=volume.z_mm,
                vertebra_probs=presence.astype(np.float32),
                fracture_probs=probs,
                fracture_type=2,
                instance_numbers=volume.instance_numbers,
                models=("made", name),
            )
            folder = f"{fingerprint_folder(record.folder)}-{pair.digest}"
            write_predictions(
                place.var / "cache" / "predictions" / folder, [said], seconds=[1.0], single=True
            )


@pytest.fixture(scope="module")
def webgl(chromium_path):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path, args=["--no-sandbox", *SOFTWARE_WEBGL]
        )
        yield browser
        browser.close()


@pytest.fixture
def neck(webgl, neck_url):
    """The 3D page with its scene drawn, and the list of what was fetched for it."""
    context = webgl.new_context(viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    page.fetched, foreign = [], []
    own = (neck_url, neck_url.replace("http", "ws"), "data:", "blob:")
    page.on("request", lambda r: None if r.url.startswith(own) else foreign.append(r.url))
    page.on("response", lambda r: page.fetched.append(r) if "/scenes/" in r.url else None)
    page.goto(f"{neck_url}/spine_3d")
    page.wait_for_selector(SCENE, timeout=FIRST_TIME_MS)
    expect(page.locator(".st-key-scene_chosen .lab-panel-title")).to_contain_text(
        "C5 · p = 0.900", timeout=FIRST_TIME_MS
    )
    settle(page)
    yield page
    assert foreign == []
    assert page.get_by_test_id("stException").count() == 0
    context.close()


def scene(page, script):
    """Evaluate a function of the viewer."""
    return page.locator(SCENE).evaluate(f"root => ({script})(root.viewer)")


def wait_for(page, script):
    page.wait_for_function(
        f"root => ({script})(root.viewer)", arg=page.locator(SCENE).element_handle(), timeout=30_000
    )


def picture(page):
    """What the canvas shows, uint8 (rows, columns, 3)."""
    data = page.locator('[data-part="canvas"]').screenshot()
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def share(image, red, green, blue, reach=70):
    """Share of pixels of about this colour's hue, whatever the light."""
    level = image.sum(axis=2, keepdims=True)
    shade = image / np.maximum(level, 1)
    wanted = np.array([red, green, blue]) / (red + green + blue)
    near = np.abs(shade - wanted).sum(axis=2) < reach / 1000
    return float((near & (level[..., 0] > 150)).mean())


def set_range(page, part, value):
    page.locator(f'[data-part="{part}"]').evaluate(
        "(e, v) => { e.value = v; e.dispatchEvent(new Event('input'));"
        " e.dispatchEvent(new Event('change')); }",
        value,
    )


def test_a_neck_stands_in_the_canvas_and_the_threshold_recolours_it(neck, artifacts):
    sizes = [int(r.headers["content-length"]) for r in neck.fetched]
    assert {r.status for r in neck.fetched} == {200}
    assert sum(sizes) < MOST_BYTES
    before = len(neck.fetched)
    assert scene(neck, "v => v.pieces.filter(p => p.kind === 'vertebra').length") >= 7
    for box in ("axial", "rest"):
        neck.locator(f'[data-show="{box}"]').uncheck()
    camera = scene(neck, "v => v.cameraState()")

    set_range(neck, "threshold", "1")
    wait_for(neck, "v => v.pieces.every(p => !p.called)")
    settle(neck)
    calm = picture(neck)
    neck.screenshot(path=artifacts / "spine_3d_calm.png")
    set_range(neck, "threshold", "0")
    wait_for(neck, "v => v.pieces.some(p => p.called)")
    expect(neck.locator(".st-key-scene_figures .lab-pill-amber").first).to_be_visible()
    settle(neck)
    hot = picture(neck)
    neck.screenshot(path=artifacts / "spine_3d_hot.png")
    assert share(calm, 233, 210, 170) > 0.02, "bone"
    amber = (share(image, 215, 110, 25, 150) for image in (calm, hot))
    assert next(amber) < 0.01
    assert next(amber) > 0.02
    assert scene(neck, "v => v.cameraState()") == camera
    assert len(neck.fetched) == before


def test_the_camera_stays_when_the_networks_change(neck):
    neck.locator('[data-look="posterior"]').click()
    wait_for(neck, "v => v.cameraState().position[1] > v.center[1] + 100")
    neck.wait_for_timeout(900)
    camera = scene(neck, "v => v.cameraState()")
    scene(neck, "v => { v.mark = 'same'; }")
    before = len(neck.fetched)
    neck.get_by_test_id("stSelectbox").filter(has_text="Fracture network").locator("input").click()
    neck.get_by_role("option", name="fracture-second").click()
    wait_for(neck, "v => v.suspect() === 'C2'")
    settle(neck)
    assert scene(neck, "v => v.mark") == "same"
    assert scene(neck, "v => v.cameraState()") == camera
    # Other networks say something else of the same surfaces: that alone is fetched.
    assert ["/info/" in r.url for r in neck.fetched[before:]] == [True]


def test_presets_flight_planes_and_a_click_on_a_vertebra(neck, artifacts):
    neck.locator('[data-look="left"]').click()
    wait_for(neck, "v => v.cameraState().position[0] > v.center[0] + 100")
    neck.locator('[data-look="fracture"]').click()
    wait_for(neck, "v => v.values.chosen === v.suspect()")
    name = scene(neck, "v => v.suspect()")
    neck.wait_for_timeout(900)
    bounds = scene(neck, "v => v.pieces.find(p => p.name === v.suspect()).bounds")
    focus = scene(neck, "v => v.cameraState().focus")
    middle = [(bounds[2 * a] + bounds[2 * a + 1]) / 2 for a in range(3)]
    assert focus == pytest.approx(middle, abs=0.5)
    expect(neck.locator(".st-key-scene_chosen .lab-panel-title")).to_contain_text(name)

    neck.locator('[data-look="anterior"]').click()
    wait_for(neck, "v => v.cameraState().position[1] < v.center[1] - 100")
    neck.wait_for_timeout(900)
    set_range(neck, "cut", "6")
    wait_for(neck, "v => v.planes.cut.shown?.includes('cut=6')")
    set_range(neck, "turn", "90")
    wait_for(neck, "v => v.planes.cut.shown?.includes('turn=90')")
    set_range(neck, "slice", "5")
    wait_for(neck, "v => v.planes.axial.shown === 'axial?slice=5'")
    neck.screenshot(path=artifacts / "spine_3d_planes.png")

    for box in ("axial", "cut"):
        neck.locator(f'[data-show="{box}"]').uncheck()
    place = scene(
        neck,
        "v => { const p = v.pieces.find(p => p.name === 'C6'); const s = p.sample;"
        " const box = v.canvasBox.getBoundingClientRect(); const hits = [];"
        " const front = s.reduce((a, b) => b[1] < a[1] ? b : a);"
        " const d = v.renderer.worldToNormalizedDisplay(...front, box.width / box.height);"
        " return [box.left + d[0] * box.width, box.top + (1 - d[1]) * box.height]; }",
    )
    neck.mouse.click(*place)
    wait_for(neck, "v => v.values.chosen === 'C6'")
    expect(neck.locator(".st-key-scene_chosen .lab-panel-title")).to_contain_text("C6")

    set_range(neck, "explode", "1")
    lifts = scene(
        neck, "v => v.pieces.filter(p => p.kind === 'vertebra').map(p => p.actor.getPosition()[2])"
    )
    assert lifts == sorted(lifts, reverse=True)
    assert lifts[0] > 20


def test_another_study_is_another_scene_and_both_widths_hold_it(neck, artifacts):
    first = neck.locator(SCENE).get_attribute("data-ready")
    choose_study(neck, "Study 2")
    neck.wait_for_function(
        "([root, old]) => root.dataset.ready && root.dataset.ready !== old",
        arg=[neck.locator('[data-part="root"]').element_handle(), first],
        timeout=FIRST_TIME_MS,
    )
    settle(neck)
    main = neck.get_by_test_id("stMain")
    for width, scheme in ((1440, "light"), (900, "dark"), (900, "light"), (1440, "dark")):
        neck.emulate_media(color_scheme=scheme)
        neck.set_viewport_size({"width": width, "height": 1000})
        neck.wait_for_timeout(700)
        assert main.evaluate("e => e.scrollWidth <= e.clientWidth"), width
        neck.set_viewport_size({"width": width, "height": main.evaluate("e => e.scrollHeight")})
        neck.wait_for_timeout(700)
        neck.screenshot(path=artifacts / f"spine_3d_{width}_{scheme}.png")


def test_a_viewer_that_cannot_start_gives_way_to_plotly(webgl, neck_url):
    page = webgl.new_page()
    page.route("**/scenes/vtk.js", lambda route: route.abort())
    page.goto(f"{neck_url}/spine_3d")
    expect(page.get_by_text("The 3D viewer did not start")).to_be_visible(timeout=FIRST_TIME_MS)
    expect(page.locator(".st-key-spine_mesh .js-plotly-plot")).to_be_visible()
    expect(page.locator(".st-key-scene_figures")).to_contain_text("C4")
    page.close()
