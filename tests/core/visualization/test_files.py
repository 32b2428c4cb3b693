from __future__ import annotations

import csv
import io
import json
import re
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from core.cli import app
from core.constants import VERTEBRAE
from core.errors import SceneError
from core.phantom.study import make_study
from core.phantom.writer import write_study
from core.system.uids import derived_uid
from core.visualization.colors import (
    PREDICTED_BOX_COLOR,
    TRUE_BOX_COLOR,
    TRUE_LINE_COLOR,
    VERTEBRA_COLORS,
)
from core.visualization.export import export_scene, film_look
from core.visualization.film import gif_bytes, turntable_frames, write_film
from core.visualization.mesh_files import glb_bytes, stl_archive, stl_bytes
from core.visualization.plotter import SceneLook
from core.visualization.scene import SceneInfo, SceneLevel
from core.visualization.scene_surfaces import SceneParts
from core.visualization.surfaces import SurfaceSettings, label_surfaces
from tests.core.visualization.solids import affine


@pytest.fixture(scope="module")
def surfaces():
    labels = np.zeros((20, 24, 24), np.uint8)
    labels[2:8, 4:20, 4:20], labels[11:17, 4:20, 4:20] = 2, 5
    return label_surfaces(labels, affine((2, 1, 1), (3, 4, 5)), SurfaceSettings(triangles=900))


def test_stl_reads_back_in_another_program(surfaces, tmp_path):
    pyvista = pytest.importorskip("pyvista")
    surface = surfaces["C2"]
    path = tmp_path / "c2.stl"
    path.write_bytes(stl_bytes(surface))
    mesh = pyvista.read(path)
    assert mesh.n_cells == pytest.approx(len(surface.triangles), abs=4)
    assert mesh.volume == pytest.approx(surface.volume_mm3, rel=1e-3)
    assert np.array(mesh.bounds).reshape(3, 2)[:, 0] == pytest.approx(surface.points.min(axis=0))
    with zipfile.ZipFile(io.BytesIO(stl_archive(surfaces.values()))) as archive:
        assert archive.namelist() == ["C2.stl", "C5.stl"]


def test_glb_names_colours_and_places_each_vertebra(surfaces, tmp_path):
    pyvista = pytest.importorskip("pyvista")
    content = glb_bytes(surfaces.values(), {"C2": "#FF0000"}, translucent=["C5"])
    magic, version, total = struct.unpack_from("<4sII", content)
    assert (magic, version, total) == (b"glTF", 2, len(content))
    (length,) = struct.unpack_from("<I", content, 12)
    document = json.loads(content[20 : 20 + length])
    assert [node["name"] for node in document["nodes"]] == ["C2", "C5"]
    factors = [m["pbrMetallicRoughness"]["baseColorFactor"] for m in document["materials"]]
    assert factors[0] == [1.0, 0.0, 0.0, 1.0]
    assert document["materials"][1]["alphaMode"] == "BLEND"
    path = tmp_path / "neck.glb"
    path.write_bytes(content)
    bounds = np.array(pyvista.read(path).bounds).reshape(3, 2) * 1000
    points = np.concatenate([s.points for s in surfaces.values()])
    low, high = points.min(axis=0), points.max(axis=0)
    # Head up is y, the back is -z.
    assert bounds[0] == pytest.approx([low[0], high[0]], abs=0.01)
    assert bounds[1] == pytest.approx([low[2], high[2]], abs=0.01)
    assert bounds[2] == pytest.approx([-high[1], -low[1]], abs=0.01)


@pytest.mark.slow
def test_a_turntable_turns_without_a_display(surfaces, monkeypatch, tmp_path):
    monkeypatch.delenv("DISPLAY", raising=False)
    parts = SceneParts(surfaces, {}, None, "mask")
    look = SceneLook({"C2": "#FF0000"})
    frames = list(turntable_frames(parts, look, frames=3, size=(96, 120)))
    assert [frame.shape for frame in frames] == [(120, 96, 3)] * 3
    red = (frames[0][..., 0] > 120) & (frames[0][..., 1] < 60)
    assert red.sum() > 200
    assert np.flatnonzero(red.any(axis=1)).max() < 70
    assert not np.array_equal(frames[0], frames[1])
    film = Image.open(io.BytesIO(gif_bytes(frames)))
    assert (film.n_frames, film.size) == (3, (96, 120))
    write_film(tmp_path / "a.mp4", frames)
    assert (tmp_path / "a.mp4").stat().st_size > 300
    with pytest.raises(SceneError, match=r"\.gif or \.mp4"):
        write_film(tmp_path / "a.avi", frames)
    with pytest.raises(SceneError, match="no vertebra to draw"):
        next(turntable_frames(SceneParts({}, {}, None, "mask"), SceneLook({})))


def near(picture, color):
    """Number of pixels close to a colour."""
    wanted = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)])
    return int((np.abs(picture.astype(int) - wanted).max(axis=-1) < 24).sum())


@pytest.mark.slow
def test_a_film_shows_lines_boxes_and_names_in_their_colours(surfaces):
    labels = np.zeros((20, 24, 24), np.uint8)
    # Inside C5, so hidden by it unless it is drawn in front.
    labels[13:15, 10:14, 10:14] = 1
    grid = affine((2, 1, 1), (3, 4, 5))
    (lines,) = label_surfaces(labels, grid, SurfaceSettings(triangles=200)).values()
    parts = SceneParts(surfaces, {"C5": lines}, None, "mask")
    spine = np.concatenate([surface.points for surface in surfaces.values()])
    low, high = spine.min(axis=0), spine.max(axis=0)
    ring = [(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])]
    box = np.array([(x, y, z) for z in (high[2], low[2]) for x, y in ring])
    levels = tuple(SceneLevel(name, VERTEBRA_COLORS[name], prob=0.1) for name in VERTEBRAE)
    info = SceneInfo(levels, (0.0,), (0, 0, 0), {}, true_boxes=(box + 3,), predicted_boxes=(box,))
    frames = list(turntable_frames(parts, film_look(info), frames=2, size=(240, 300)))
    film = Image.open(io.BytesIO(gif_bytes(frames)))
    for picture in (frames[0], np.asarray(film.convert("RGB"))):
        for color in (TRUE_LINE_COLOR, TRUE_BOX_COLOR, PREDICTED_BOX_COLOR, VERTEBRA_COLORS["C2"],
                      VERTEBRA_COLORS["C5"]):  # fmt: skip
            assert near(picture, color) > 20, color
        # No name of a level that the scene does not have.
        assert near(picture, VERTEBRA_COLORS["C1"]) < 5


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    """One synthetic study with a fracture, its mask and its fracture lines."""
    root = tmp_path_factory.mktemp("root")
    number = next(n for n in range(40) if make_study(3, n, matrix=64).fractures)
    uid = derived_uid("scene", number)
    write_study(make_study(3, number, matrix=96), root, uid)
    return root, root / "train_images" / uid


@pytest.mark.slow
def test_a_scene_is_exported_whole_and_the_page_asks_nobody_for_anything(data_root, tmp_path):
    _, folder = data_root
    done = CliRunner().invoke(
        app,
        ["scene", str(folder), "--out", str(tmp_path / "out")],
        env={"RSNA_CACHE": str(tmp_path / "cache")},
    )
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader((tmp_path / "out" / "figures.csv").open()))
    assert {"C2", "C5"} <= {row["vertebra"] for row in rows}
    for row in rows[1:6]:
        assert float(row["volume_mm3"]) == pytest.approx(float(row["voxel_volume_mm3"]), rel=0.05)
    page = (tmp_path / "out" / "spine_3d.html").read_text()
    assert 'src="http' not in page
    assert folder.name not in page
    assert "{{" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert list((tmp_path / "cache" / "surfaces").rglob("*.surfaces"))


@pytest.mark.slow
def test_a_study_without_a_mask_needs_predictions(data_root, tmp_path):
    _, folder = data_root
    alone = tmp_path / "series"
    alone.mkdir()
    for file in folder.iterdir():
        (alone / file.name).write_bytes(file.read_bytes())
    with pytest.raises(SceneError, match="--predictions"):
        export_scene(alone, tmp_path / "out", cache=tmp_path / "cache")
    with pytest.raises(SceneError, match="gif or mp4"):
        export_scene(alone, tmp_path / "out", cache=tmp_path / "cache", film="avi")
