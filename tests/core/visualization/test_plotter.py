from __future__ import annotations

import json

import numpy as np
import pytest

from core.errors import SceneError
from core.phantom.study import make_study
from core.phantom.writer import write_study
from core.system.uids import derived_uid
from core.visualization.planes import CtPlane
from core.visualization.plotter import SceneLook, look_from, scene_plotter
from core.visualization.plotter_page import draw_page
from core.visualization.scene_surfaces import (
    SceneParts,
    keep_parts,
    pack_parts,
    parts_file,
    parts_key,
)
from core.visualization.surfaces import SurfaceSettings, label_surfaces
from core.visualization.viewer_files import library_gzipped
from tests.core.visualization.solids import affine, volume_of

SIZE = (160, 200)


@pytest.fixture(scope="module")
def parts():
    labels = np.zeros((20, 24, 24), np.uint8)
    labels[2:8, 4:20, 4:20], labels[11:17, 4:20, 4:20] = 2, 5
    found = label_surfaces(labels, affine((2, 1, 1), (3, 4, 5)), SurfaceSettings(triangles=900))
    return SceneParts({"C2": found["C2"], "C5": found["C5"]}, {}, None, "mask")


def drawn(parts, look, turn=0.0):
    plotter = scene_plotter(parts, look, size=SIZE)
    look_from(plotter, parts, turn)
    try:
        return plotter.screenshot(None, return_img=True).astype(int)
    finally:
        plotter.close()


def share(picture, color):
    """Share of the pixels nearest to pure red, green or blue."""
    others = [channel for channel in range(3) if channel != color]
    rest = picture[..., others].max(axis=-1)
    return float((picture[..., color] > rest + 60).mean())


@pytest.mark.slow
def test_each_vertebra_has_its_colour_and_names_change_the_picture(parts):
    picture = drawn(parts, SceneLook({"C2": "#FF0000", "C5": "#00FF00"}))
    upper, lower = picture[: SIZE[1] // 2], picture[SIZE[1] // 2 :]
    # C2 is the more cranial one and head is up.
    assert share(upper, 0) > 0.05 > share(lower, 0)
    assert share(lower, 1) > 0.05 > share(upper, 1)
    named = drawn(parts, SceneLook({"C2": "#FF0000", "C5": "#00FF00"}, names=True))
    assert np.abs(named - picture).max() > 60


@pytest.mark.slow
def test_boxes_and_planes_are_drawn_where_they_are(parts):
    plain = drawn(parts, SceneLook({}))
    low = np.min([s.points.min(axis=0) for s in parts.vertebrae.values()], axis=0) - 2
    high = np.max([s.points.max(axis=0) for s in parts.vertebrae.values()], axis=0) + 2
    ring = [(0, 0), (1, 0), (1, 1), (0, 1)]
    ends = np.array([low, high])
    box = np.array([(ends[x][0], ends[y][1], ends[z][2]) for z in (1, 0) for x, y in ring])
    assert np.abs(drawn(parts, SceneLook({}, true_boxes=[box])) - plain).max() > 60

    # A coronal plane in front of all: white above, black below, left half darker.
    image = np.zeros((40, 40), np.uint8)
    image[:20, 20:] = 255
    front = low[1] - 5
    corners = np.array([[low[0], front, high[2]], [high[0], front, high[2]],
                        [low[0], front, low[2]]])  # fmt: skip
    change = drawn(parts, SceneLook({}, planes=[CtPlane(image, corners)])) - plain
    height, width = SIZE[1] // 2, SIZE[0] // 2
    brighter = change.mean(axis=-1)
    quarters = [brighter[:height, :width], brighter[:height, width:], brighter[height:, :width],
                brighter[height:, width:]]  # fmt: skip
    # Seen from the front, the patient's left (greater x) is on the right.
    assert np.argmax([quarter.mean() for quarter in quarters]) == 1


def test_a_look_travels_as_json(parts):
    plane = CtPlane(np.full((8, 8), 128, np.uint8), np.eye(3))
    box = np.ones((8, 3))
    look = SceneLook({"C2": "#FF0000"}, True, True, [plane], [box], [], lines=False)
    again = SceneLook.from_json(json.loads(json.dumps(look.to_json())))
    assert again.to_json()["true_boxes"] == look.to_json()["true_boxes"]
    assert (again.colors, again.rest, again.names) == ({"C2": "#FF0000"}, True, True)
    assert again.lines is False
    assert np.abs(again.planes[0].image.astype(int) - 128).max() < 4


def test_a_scene_without_a_vertebra_is_an_error():
    with pytest.raises(SceneError, match="no vertebra to draw"):
        scene_plotter(SceneParts({}, {}, None, "mask"), SceneLook({}))


@pytest.mark.slow
def test_the_page_asks_for_nothing_outside_and_its_scripts_are_in_the_packages(parts, tmp_path):
    volume = volume_of(np.zeros((20, 24, 24), np.int16))
    packed = pack_parts(parts, parts_key("page"), volume)
    keep_parts(tmp_path, packed)
    out = tmp_path / "page.html"
    request = {"surfaces": str(parts_file(tmp_path, packed.key)), "out": str(out), "size": SIZE,
               "look": SceneLook({}).to_json(), "libraries": "/scenes/libraries/"}  # fmt: skip
    assert draw_page(request, lambda *_: None) == out.stat().st_size
    page = out.read_text()
    assert "https://" not in page.split("<body")[0]
    assert "cdn." not in page
    assert "data:image/jpeg;base64," in page
    names = {part.split('"')[0].split("?")[0] for part in page.split('src="/scenes/libraries/')[1:]}
    assert len(names) >= 5
    for name in names:
        content, media_type = library_gzipped(name)
        assert content[:2] == b"\x1f\x8b"
        assert media_type == "text/javascript"


@pytest.mark.parametrize(
    "name", ["../panel/config.py", "../../setup.py", "/etc/passwd", "nothing.js", "images/x.png"]
)
def test_only_scripts_and_styles_of_the_packages_are_served(name):
    with pytest.raises(SceneError, match="No package carries"):
        library_gzipped(name)


@pytest.mark.slow
def test_the_notebook_runs_on_a_synthetic_study_and_carries_no_output(
    repo_root, tmp_path, monkeypatch
):
    notebook = json.loads((repo_root / "docs/examples/scene.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells)
    write_study(make_study(3, 0, matrix=64), tmp_path, derived_uid("notebook", 0))
    monkeypatch.setenv("RSNA_ROOT", str(tmp_path))
    names: dict[str, object] = {}
    for cell in cells:
        exec("".join(cell["source"]), names)
    assert names["picture"].size == (700, 700)
