"""Measuring and marking in a real Chromium: drawn, undone, kept over a reload, deleted."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from core.annotations.marks import MarkStore
from core.dicom.series import read_series
from tests.browser.waiting import FIRST_TIME_MS, settle
from tests.dashboard.workplace import FRACTURED

pytestmark = pytest.mark.browser

MARKS = """c => {
    const { book, geometry } = c.getRootNode().querySelector('.viewer').viewer;
    return [...book.marks.values()].map((mark) => ({
        ...mark, mm: mark.points.map((p) => geometry.toMm(mark.plane, p)),
        ...book.figure(mark) }));
}"""


def axial(page):
    return page.locator("canvas.axial")


def marks(page):
    return axial(page).evaluate(MARKS)


def drag(page, pane, start, end):
    """Drag on a pane between two places, in shares of its size."""
    canvas = page.locator(f"canvas.{pane}")
    canvas.hover()
    box = canvas.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=4)
    page.mouse.up()


def expect_marks(page, count):
    summary = page.locator("details.marks summary")
    if count:
        expect(summary).to_have_text(f"Marks ({count})")
    else:
        expect(summary).to_be_hidden()


def test_what_is_drawn_is_measured_undone_and_kept_over_a_reload(
    page, dashboard_url, workplace, artifacts
):
    page.goto(f"{dashboard_url}/dataset?study={FRACTURED}")
    expect(axial(page)).to_have_attribute("data-drawn", re.compile(r"\d+"), timeout=FIRST_TIME_MS)
    expect(page.locator("canvas.sagittal")).to_have_attribute("data-drawn", re.compile(r"\d+"))
    settle(page)
    volume = read_series(workplace.var / "demo" / "train_images" / FRACTURED)

    axial(page).press("l")
    drag(page, "axial", (0.3, 0.3), (0.6, 0.4))
    expect_marks(page, 1)
    (length,) = marks(page)
    ends = np.array(length["points"])[:, 1:] * volume.spacing_mm[1:]
    assert float(length["value"].split()[0]) == pytest.approx(
        np.linalg.norm(ends[0] - ends[1]), abs=0.051
    )

    page.locator("canvas.sagittal").press("s")
    drag(page, "sagittal", (0.4, 0.35), (0.6, 0.6))
    expect_marks(page, 2)
    page.wait_for_function(
        "() => [...document.querySelectorAll('*')].some(e => e.shadowRoot?.querySelector('.viewer')"
        "?.viewer?.wholePlanes.planes.values().some(Boolean))"
    )
    region = marks(page)[1]
    plane = volume.hu[:, :, round(region["points"][0][2])].astype(float)
    down = (volume.z_mm[0] + volume.spacing_mm[0] / 2) - volume.z_mm
    across = (np.arange(plane.shape[1]) + 0.5) * volume.spacing_mm[1]
    (left, right), (top, bottom) = np.sort(region["mm"], axis=0).T
    inside = plane[(down >= top) & (down <= bottom)][:, (across >= left) & (across <= right)]
    assert inside.size > 4
    shown = region["value"].replace("−", "-")
    assert shown == f"{inside.mean():.1f} ± {inside.std():.1f} HU"
    assert region["details"][0].replace("−", "-") == f"{inside.min():.0f} to {inside.max():.0f} HU"
    area = (right - left) * (bottom - top) / 100
    assert region["details"][1] == f"{area:.2f} cm²"

    # An arrow asks for its text; a point is set with the keys alone.
    axial(page).press("t")
    drag(page, "axial", (0.5, 0.6), (0.7, 0.75))
    page.locator("input.mark-text").fill("C5 line?")
    page.locator("input.mark-text").press("Enter")
    axial(page).press("o")
    axial(page).press("ArrowLeft")
    axial(page).press("Enter")
    expect_marks(page, 4)
    axial(page).press("Control+z")
    expect_marks(page, 3)
    axial(page).press("Control+y")
    expect_marks(page, 4)
    page.screenshot(path=artifacts / "viewer_marks.png")

    settle(page)
    kept = MarkStore(workplace.var / "annotations" / "marks")
    assert [mark.kind for mark in kept.read(FRACTURED).marks.values()] == [
        "length", "rectangle", "arrow", "probe",
    ]  # fmt: skip
    before = marks(page)
    page.reload()
    expect_marks(page, 4)
    again = marks(page)
    assert [mark["kind"] for mark in again] == [mark["kind"] for mark in before]
    assert again[2]["text"] == "C5 line?"
    for one, other in zip(before, again, strict=True):
        np.testing.assert_allclose(one["points"], other["points"], atol=1e-3)
    # The list leads to a mark, and Delete removes it; then all of them.
    page.locator("details.marks summary").click()
    page.locator("details.marks li button").first.click()
    axial(page).press("Delete")
    expect_marks(page, 3)
    axial(page).press("Shift+Delete")
    expect_marks(page, 0)
    settle(page)
    assert kept.read(FRACTURED).marks == {}

    axial(page).press("?")
    expect(page.locator("dialog.help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog.help")).to_be_hidden()
