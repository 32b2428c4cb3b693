"""Small pictures show the right slice, cut around its boxes, with the boxes where they are."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.errors import CSpineError
from core.types import CTVolume
from core.visualization.colors import PREDICTED_BOX_COLOR, TRUE_BOX_COLOR
from dashboard.studies import pictures
from dashboard.studies.pictures import SIDE, WantedPicture, draw_boxes, draw_slice, make_picture
from dashboard.widgets.pictures import picture_html, picture_routes
from tests.dashboard.workplace import FRACTURED


def colored(picture, color):
    """Rows and columns of the pixels of a colour."""
    red, green, blue = (int(color[k : k + 2], 16) for k in (1, 3, 5))
    return np.nonzero((picture == (blue, green, red)).all(axis=-1))


def test_boxes_are_drawn_at_their_pixels_true_ones_dashed():
    picture = np.zeros((200, 100, 3), np.uint8)
    # Two pixels of the picture per column and four per row of the slice.
    draw_boxes(picture, (10, 20, 60, 70), [(20, 30, 40, 50)], [(25, 30, 35, 60)])
    rows, columns = colored(picture, TRUE_BOX_COLOR)
    assert (rows.min(), columns.min()) == (pytest.approx(40, abs=1), pytest.approx(20, abs=1))
    assert (rows.max(), columns.max()) == (pytest.approx(120, abs=1), pytest.approx(60, abs=1))
    rows, columns = colored(picture, PREDICTED_BOX_COLOR)
    assert (columns.min(), columns.max()) == (pytest.approx(30, abs=1), pytest.approx(50, abs=1))
    assert rows.max() == pytest.approx(160, abs=1)
    # A side of the true box has gaps, one of the other has none.
    assert len(np.unique(colored(picture, PREDICTED_BOX_COLOR)[0])) >= 120
    assert 0 < (picture[60:110, 20] != 0).any(axis=-1).mean() < 1


def test_the_cut_is_square_in_mm_and_black_outside_the_slice():
    hu = np.full((1, 60, 60), 400, np.int16)
    volume = CTVolume(
        hu=hu, spacing_mm=(3.0, 1.0, 2.0), affine=np.eye(4), z_mm=np.zeros(1),
        instance_numbers=(1,), source_files=(Path("a"),), study_uid="1", series_uid="1",
        slice_thickness_mm=3.0, notes=(),
    )  # fmt: skip
    # Around column 30 and row 30: 90 mm are 45 columns and 90 rows, 15 of them above the slice.
    picture = draw_slice(volume, 0, [(28, 28, 32, 32)], [])
    assert picture.shape == (SIDE, SIDE, 3)
    seen = (picture > 100).all(axis=-1)
    assert seen[:, SIDE // 8].sum() / SIDE == pytest.approx(60 / 90, abs=0.02)
    assert seen[SIDE // 2].mean() > 0.9
    assert not seen[: round(SIDE * 15 / 90) - 1].any()


def test_a_picture_of_the_data_set_is_made_once(at_work, monkeypatch, tmp_path):
    monkeypatch.setenv("RSNA_CACHE", str(tmp_path))
    wanted = WantedPicture(FRACTURED, None, predicted=False)
    file = make_picture(wanted)
    picture = cv2.imread(str(file))
    # The box, x 10 to 30 and y 12 to 40 of the slice, lies in the middle of the cut.
    rows, columns = colored(picture, TRUE_BOX_COLOR)
    middle = (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2
    assert middle == (pytest.approx(SIDE / 2, abs=3), pytest.approx(SIDE / 2, abs=3))
    assert np.ptp(rows) / np.ptp(columns) == pytest.approx(28 / 20, abs=0.1)
    monkeypatch.setattr(pictures, "read_slice", None)
    assert make_picture(wanted) == file
    with pytest.raises(TypeError):
        make_picture(WantedPicture(FRACTURED, 5, predicted=False))


def test_the_route_serves_what_a_page_has_registered(at_work, monkeypatch, tmp_path):
    monkeypatch.setenv("RSNA_CACHE", str(tmp_path))
    wanted = WantedPicture(FRACTURED, 4)
    (address,) = re.findall(r'src="([^"]+)"', picture_html(wanted, "A < B"))
    client = TestClient(Starlette(routes=picture_routes()))
    found = client.get(address)
    assert (found.status_code, found.headers["content-type"]) == (200, "image/png")
    assert found.content.startswith(b"\x89PNG")
    assert client.get(address[:-1] + "x").status_code == 404
    (unknown,) = re.findall(r'src="([^"]+)"', picture_html(WantedPicture("1.2.3", 4), ""))
    assert client.get(unknown).status_code == 404
    with pytest.raises(CSpineError, match="set RSNA_ROOT"):
        make_picture(WantedPicture("1.2.3", 4))
    assert "A &lt; B" in picture_html(wanted, "A < B")
    assert asyncio.iscoroutinefunction(picture_routes()[0].endpoint)
