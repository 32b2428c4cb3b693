"""Sliders of Diagnosis and Localization: the page follows while they are dragged, as core says."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from core.cache.keys import fingerprint_folder
from core.constants import VERTEBRAE
from core.dataset.rsna import read_studies
from core.dicom.series import read_series
from core.inference.boxes.tracks import FusionSettings, detect
from core.inference.outputs import read_slices
from core.inference.study_scores import score_study
from core.inference.verdict import judge
from core.models.pairs import choose_pair
from core.types import RawDetections
from dashboard.studies.localizer import held_out_overlaps
from dashboard.studies.raw_boxes import BOXES_FOLDER, keep_raw
from tests.browser.scene_place import write_scene_place
from tests.browser.server import serve
from tests.browser.waiting import FIRST_TIME_MS, settle

pytestmark = pytest.mark.browser

DRAWN = """key => {
  const find = (root) => root.querySelector('.viewer') ?? [...root.querySelectorAll('*')]
    .map((one) => one.shadowRoot && find(one.shadowRoot)).find(Boolean);
  const { viewer } = find(document.querySelector(`.st-key-${key}`));
  return viewer.layers.find((layer) => layer.spec.name === 'Predicted boxes').boxes.length;
}"""
"""Number of boxes that a viewer would draw on all slices."""


@pytest.fixture(scope="module")
def place(repo_root, artifacts, tmp_path_factory):
    """A server with one scored study, its pair of networks, its scores and its raw boxes."""
    root = tmp_path_factory.mktemp("sliders")
    checkpoints = repo_root / "checkpoints"
    environment = write_scene_place(root, checkpoints)
    (record,) = read_studies(root / "demo")
    pair = choose_pair(checkpoints)
    volume = read_series(record.folder)
    rng = np.random.default_rng(8)
    # A track of certain boxes, on both passes, among boxes at random.
    sure = np.tile([200.0, 200.0, 260.0, 260.0], (12, 1))
    certain = np.repeat(np.arange(6), 2) + volume.n_slices // 2
    corners = rng.uniform(100, 300, (150, 2))
    raw = RawDetections(
        record.study_id,
        np.concatenate([certain, rng.integers(0, volume.n_slices, 150)]),
        np.concatenate([sure, np.hstack([corners, corners + rng.uniform(20, 60, (150, 2))])]),
        np.concatenate([np.full(12, 0.999), rng.uniform(0.06, 1, 150)]),
        np.concatenate([np.tile([0, 1], 6), rng.integers(0, 2, 150)]),
        2,
        volume.z_mm,
        (pair.fracture.config.name,),
    )
    fingerprint = fingerprint_folder(record.folder)
    name = f"{fingerprint}-{pair.fracture.config.weights_sha256[:16]}.npz"
    (root / "cache" / BOXES_FOLDER).mkdir()
    keep_raw(root / "cache" / BOXES_FOLDER / name, raw)
    (stored,) = read_slices(
        root / "cache" / "predictions" / f"{fingerprint}-{pair.digest}" / "slices.parquet"
    )
    with serve(repo_root, environment, artifacts / "sliders_server.log") as url:
        yield url, pair, score_study(stored), detect(raw, FusionSettings())


class Hand:
    """A mouse that holds a slider, and what the page has sent meanwhile."""

    def __init__(self, browser, url: str, ready: str) -> None:
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        context.set_default_timeout(90_000)
        self.sent: list[str] = []
        self.page = context.new_page()
        self.page.on("request", lambda request: self.sent.append(request.url))
        self.page.on(
            "websocket",
            lambda socket: socket.on("framesent", lambda _: self.sent.append("frame")),
        )
        self.page.goto(url)
        expect(self.page.locator(ready).first).to_be_visible(timeout=FIRST_TIME_MS)
        settle(self.page)

    def take(self, name: str):
        self.slider = self.page.get_by_role("slider", name=name)
        self.slider.scroll_into_view_if_needed()
        # Pictures of slices that are fetched ahead are none of the slider's.
        self.page.wait_for_timeout(1500)
        self.box = self.slider.bounding_box()
        self.to(0.5)
        self.page.mouse.down()
        self.page.wait_for_timeout(200)
        self.sent.clear()

    def to(self, share: float) -> float:
        """Move to a share of the slider's width; returns the threshold there."""
        self.page.mouse.move(
            self.box["x"] + self.box["width"] * share, self.box["y"] + self.box["height"] / 2
        )
        self.page.wait_for_timeout(40)
        return float(self.slider.input_value())

    def let_go(self, parameter: str) -> None:
        assert self.sent == []
        value = float(self.slider.input_value())
        self.page.mouse.up()
        expect(self.page).to_have_url(re.compile(rf"{parameter}={re.escape(repr(value))}(&|$)"))
        settle(self.page)
        assert self.sent

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()


def test_calls_follow_the_sliders_of_diagnosis_without_the_server(browser, place):
    url, pair, scores, _ = place
    hand = Hand(browser, f"{url}/diagnosis", ".lab-call")
    page, rng = hand.page, np.random.default_rng(1)
    seen = set()
    hand.take("Patient threshold")
    for share in [*rng.uniform(0, 1, 20), 0.97, 0.02]:
        at = hand.to(share)
        verdict = judge(scores, pair, patient=at)
        assert hand.text(".lab-call") == verdict.headline
        sign = "≥" if verdict.calls.patient else "<"
        said = f"{verdict.prob:.3f} probability, {sign} threshold {at:.3f}"
        assert hand.text(".lab-verdict .lab-prob") == said
        word = "called" if verdict.calls.patient else "not called"
        assert f"{verdict.prob:.3f} (threshold {at:.3f}: {word})" in hand.text(".lab-fine")
        assert hand.slider.get_attribute("aria-valuetext") == f"{at:.3f}"
        seen.add(verdict.headline)
    assert len(seen) == 2
    hand.let_go("patient_threshold")
    seen.clear()
    pills: list[str] = []
    hand.take("Vertebra threshold")
    for share in [*rng.uniform(0, 1, 20), 0.01, 0.6]:
        at = hand.to(share)
        calls = judge(scores, pair, vertebra=at).calls.vertebrae
        pills = page.locator(".lab-calls .lab-pill").all_inner_texts()
        words = {True: "fracture", False: "none", None: "not seen"}
        assert pills == [words[called] for called in calls]
        ticks = page.locator(".lab-calls .lab-bar-tick").all()
        assert {tick.get_attribute("style") for tick in ticks} <= {
            f"left:{100 * at:.1f}%",
            f"left: {float(f'{100 * at:.1f}'):g}%;",
        }
        assert len(ticks) == len(VERTEBRAE)
        seen.add(calls)
    assert len(seen) >= 2
    hand.let_go("vertebra_threshold")
    # What the browser drew is what the server draws.
    assert page.locator(".lab-calls .lab-pill").all_inner_texts() == pills
    page.context.close()


def test_keys_typed_values_and_reset_of_a_slider(browser, place):
    url, pair, scores, _ = place
    hand = Hand(browser, f"{url}/diagnosis", ".lab-call")
    page = hand.page
    slider = page.get_by_role("slider", name="Patient threshold")
    typed = page.get_by_role("spinbutton", name="Patient threshold")
    start = typed.input_value()
    slider.focus()
    for key, value in (("Home", 0.0), ("ArrowRight", 0.001), ("PageUp", 0.101), ("End", 1.0)):
        page.keyboard.press(key)
        expect(slider).to_have_attribute("aria-valuetext", f"{value:.3f}")
        headline = judge(scores, pair, patient=value).headline
        expect(page.locator(".lab-call")).to_have_text(headline)
    expect(page).to_have_url(re.compile(r"patient_threshold=1\.0(&|$)"))
    typed.fill("0.12345")
    typed.press("Enter")
    expect(page).to_have_url(re.compile(r"patient_threshold=0\.12345(&|$)"))
    settle(page)
    expect(page.locator(".lab-prob")).to_contain_text("threshold 0.123")
    typed.fill("7")
    typed.press("Enter")
    page.keyboard.press("Tab")
    expect(typed).to_have_value("0.123")
    page.locator(".st-key-points_reset button").first.click()
    expect(typed).to_have_value(start)
    page.context.close()


def test_a_finger_sets_a_threshold(browser, place):
    url, pair, scores, _ = place
    context = browser.new_context(has_touch=True, viewport={"width": 900, "height": 1200})
    context.set_default_timeout(90_000)
    page = context.new_page()
    page.goto(f"{url}/diagnosis")
    expect(page.locator(".lab-call")).to_be_visible(timeout=FIRST_TIME_MS)
    settle(page)
    slider = page.get_by_role("slider", name="Patient threshold")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] * 0.92, box["y"] + box["height"] / 2)
    expect(page).to_have_url(re.compile(r"patient_threshold=0\.9\d*(&|$)"))
    at = float(slider.input_value())
    assert at > scores.patient.patient_prob
    expect(page.locator(".lab-call")).to_have_text(judge(scores, pair, patient=at).headline)
    context.close()


def test_boxes_follow_the_minimum_score_without_the_server(browser, place):
    url, pair, _, fused = place
    hand = Hand(browser, f"{url}/localization", ".st-key-loc_tiles")
    rng, bundle = np.random.default_rng(2), pair.fracture
    expect(hand.page.get_by_text("After fusion")).to_be_visible()
    hand.take("Minimum score")
    moves = [(share, hand.to(share)) for share in rng.uniform(0, 1, 15)]
    thresholds = tuple(at for _, at in moves)
    overlaps = held_out_overlaps(
        str(bundle.folder), bundle.config.weights_sha256, FusionSettings(), thresholds
    )
    counts: set[int] = set()
    expected = -1
    for (share, _), overlap in zip(moves, overlaps, strict=True):
        at = hand.to(share)
        expected = int((fused.scores >= at).sum())
        assert hand.page.evaluate(DRAWN, "loc_after") == expected
        title = hand.page.get_by_text("After fusion").inner_text()
        assert title == f"After fusion · {expected} boxes with score ≥ {at:.3f}"
        tile = hand.text('.st-key-loc_tile_mean_counted_iou [data-testid="stMetricValue"]')
        assert tile == f"{overlap:.3f}"
        assert hand.page.locator("html").get_attribute("data-ahead") == "loc_score"
        counts.add(expected)
    assert len(counts) > 5
    hand.let_go("min_score")
    assert hand.page.locator("html").get_attribute("data-ahead") == ""
    assert hand.page.evaluate(DRAWN, "loc_after") == expected
    assert f"{expected} boxes" in hand.page.get_by_text("After fusion").inner_text()
    hand.page.context.close()
