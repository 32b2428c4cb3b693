"""What lies over the slices, on every plane: a page of its own with overlays that are known."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import expect

from core.visualization.colors import HEAT_STOPS
from dashboard.widgets.slice_viewer.overlays import PREDICTED_BOX_COLOR, TRUE_BOX_COLOR
from tests.browser.server import serve
from tests.browser.waiting import FIRST_TIME_MS, settle
from tests.core.dicom.dicom_factory import write_ct_series
from tests.dashboard.workplace import made_neck

pytestmark = pytest.mark.browser

HOTTEST = HEAT_STOPS[-1]
INNER = """
import numpy as np
import streamlit as st
from pathlib import Path
from core.types import BoxPrediction
from dashboard.widgets.slice_viewer.overlays import HeatOverlay, predicted_boxes, true_boxes
from dashboard.widgets.slice_viewer.ribbon import Ribbon
from dashboard.widgets.slice_viewer.viewer import slice_viewer
from dashboard.studies.open_study import open_study

study = open_study(Path({folder!r}))
heat = np.zeros(study.volume.hu.shape[1:])
heat[20:40, 16:24] = 1
probs = np.linspace(0, 1, study.volume.n_slices)
slice_viewer(
    study, key="viewer", slice_index=4, panes=("axial", "sagittal", "coronal"),
    overlays=[
        true_boxes([BoxPrediction((10, 12, 30, 42), 4)]),
        predicted_boxes([BoxPrediction((40, 20, 60, 50), i, 0.5 + i / 100) for i in (7, 8, 9)]),
        HeatOverlay("Grad-CAM", {{4: heat}}, "known", opacity=1.0),
    ],
    ribbon=Ribbon(probs, threshold=0.5),
)
"""
OUTER = """
import streamlit as st
from dashboard.widgets.slice_viewer.routes import viewer_routes
app = st.App("inner.py", routes=viewer_routes())
"""


@pytest.fixture(scope="module")
def host_url(workplace, repo_root, artifacts, tmp_path_factory):
    place = tmp_path_factory.mktemp("host")
    series = place / "series"
    write_ct_series(series, made_neck(0), spacing_mm=(3.0, 0.8, 0.8), intercept=-1024.0)
    (place / "inner.py").write_text(INNER.format(folder=str(series)))
    (place / "outer.py").write_text(OUTER)
    environment = workplace.environment | {"PYTHONPATH": str(repo_root)}
    with serve(
        repo_root, environment, artifacts / "host_server.log", script=place / "outer.py"
    ) as url:
        yield url


@pytest.fixture
def viewer(browser, host_url):
    context = browser.new_context(viewport={"width": 1100, "height": 1000})
    page = context.new_page()
    page.goto(host_url)
    expect(page.locator("canvas.axial")).to_have_attribute("data-drawn", "4", timeout=FIRST_TIME_MS)
    yield page
    assert page.get_by_test_id("stException").count() == 0
    context.close()


def colored(page, kind, color):
    """Rows and columns of the pane's pixels of one colour, (k, 2)."""
    picture = page.locator(f"canvas.{kind}").evaluate(
        """c => Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)
                .concat(c.height)"""
    )
    pixels = np.array(picture[:-1], np.uint8).reshape(picture[-1], -1, 4)[..., :3].astype(int)
    wanted = [int(color[k : k + 2], 16) for k in (1, 3, 5)]
    return np.argwhere((np.abs(pixels - wanted) <= 10).all(axis=-1))


def extent(found):
    """Left, right, upper and lower end of pixels."""
    rows, columns = found.T
    return [columns.min(), columns.max() + 1, rows.min(), rows.max() + 1]


def place_of(page, kind, pixels, slices):
    """Where edges of pixels (0.8 mm) and of slices (3 mm, from the top) lie on a plane's canvas."""
    return page.locator(f"canvas.{kind}").evaluate(
        """(c, [kind, pixels, slices]) => {
            const { panes, geometry } = c.getRootNode().querySelector('.viewer').viewer;
            const { left, top, pxPerMm } = panes[kind].layout();
            return [...pixels.map(u => left + u * .8 * pxPerMm),
                    ...slices.map(i => top + i * 3 * pxPerMm)];
        }""",
        [kind, list(pixels), list(slices)],
    )


def look_along(page, x, y):
    """Put the crosshair on a pixel of the slice on show."""
    place = page.locator("canvas.axial").evaluate(
        """(c, [x, y]) => {
            const { sx, sy, left, top } =
                c.getRootNode().querySelector('.viewer').viewer.panes.axial.layout();
            return { x: left + (x + .5) * sx, y: top + (y + .5) * sy };
        }""",
        [x, y],
    )
    page.locator("canvas.axial").click(position=place)
    expect(page.locator("canvas.sagittal")).to_have_attribute("data-drawn", str(x))
    expect(page.locator("canvas.coronal")).to_have_attribute("data-drawn", str(y))
    settle(page)


def test_boxes_are_at_their_place_on_all_planes_and_only_where_they_are_cut(viewer):
    look_along(viewer, 20, 45)
    found = extent(colored(viewer, "sagittal", TRUE_BOX_COLOR))
    assert found == pytest.approx(place_of(viewer, "sagittal", (12, 42), (4, 5)), abs=2)
    # The coronal plane lies behind the true box and cuts the predicted ones.
    assert len(colored(viewer, "coronal", TRUE_BOX_COLOR)) == 0
    found = extent(colored(viewer, "coronal", PREDICTED_BOX_COLOR))
    left, right, upper, lower = place_of(viewer, "coronal", (40, 60), (7, 10))
    assert found[0] == pytest.approx(left, abs=2)
    assert found[1] == pytest.approx(max(right, left + 34), abs=14)
    # The score stands above the box that has the highest, the lowest one.
    assert found[2] == pytest.approx(min(upper, lower - (lower - upper) / 3 - 17), abs=2)
    assert found[3] == pytest.approx(lower, abs=2)
    assert len(colored(viewer, "sagittal", PREDICTED_BOX_COLOR)) == 0


def test_a_heat_map_is_a_strip_at_the_height_of_its_slice(viewer, artifacts):
    look_along(viewer, 20, 30)
    for kind, pixels in (("sagittal", (20, 40)), ("coronal", (16, 24))):
        found = extent(colored(viewer, kind, HOTTEST))
        assert found == pytest.approx(place_of(viewer, kind, pixels, (4, 5)), abs=4), kind
    viewer.screenshot(path=artifacts / "viewer_overlays.png")
    look_along(viewer, 30, 30)
    assert len(colored(viewer, "sagittal", HOTTEST)) == 0
    assert len(colored(viewer, "coronal", HOTTEST)) > 0


def test_the_strip_names_its_axes_and_its_slices_are_where_a_click_finds_them(viewer):
    expect(viewer.locator(".ribbon-words")).to_contain_text("operating point 0.50")
    ribbon = viewer.locator("canvas.ribbon")
    top, height = ribbon.evaluate(
        """c => { const strip = c.getRootNode().querySelector('.viewer').viewer.ribbon;
                  return [c.clientHeight - strip.trackHeight - 6, strip.trackHeight]; }"""
    )
    for index in (0, 11, 6):
        ribbon.click(position={"x": 50, "y": top + height * (index + 0.5) / 12})
        expect(viewer.locator("canvas.axial")).to_have_attribute("data-drawn", str(index))
        assert f"Slice {index}" in ribbon.get_attribute("aria-valuetext")
