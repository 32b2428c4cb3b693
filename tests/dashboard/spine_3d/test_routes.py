from __future__ import annotations

import dataclasses
import gzip
import json
import threading
import time
from concurrent.futures import Future

import cv2
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.errors import SceneError
from core.visualization.labels import VertebraLabels
from core.visualization.packing import unpack_surfaces
from core.visualization.scene import SceneLevel, scene_info
from core.visualization.scene_surfaces import build_parts, pack_parts, parts_key
from dashboard.spine_3d import routes as scene_routes_module
from dashboard.spine_3d.routes import (
    CORNERS_HEADER,
    INFOS,
    SCENES,
    ServedInfo,
    ServedScene,
    scene_routes,
    vtk_js_path,
)
from dashboard.studies.served_bytes import PROOF_HEADER, session_proof_of
from tests.core.visualization.solids import volume_of


def ready(result):
    future = Future()
    future.set_result(result)
    return future


def serve_scene(key, surfaces, volume):
    return SCENES.register(key, ServedScene(surfaces, volume))


def serve_info(key, surfaces, info):
    return INFOS.register(key, ServedInfo(surfaces, lambda _: info))


@pytest.fixture(scope="module")
def served():
    labels = np.zeros((16, 30, 30), np.uint8)
    labels[2:7, 8:22, 8:22], labels[9:14, 8:22, 8:22] = 3, 4
    volume = volume_of(np.where(labels > 0, 700, 40), (2.0, 1.0, 1.0))
    parts = build_parts(volume, VertebraLabels(labels, "mask"))
    packed = pack_parts(parts, parts_key("routes", labels.tobytes()), volume)
    levels = {
        "C3": SceneLevel("C3", "#4B61DC", 0.2, (0.2,) * 16, (2, 6), 3),
        "C4": SceneLevel("C4", "#B85C6E", 0.8, (0.8,) * 16, (9, 13), 11),
    }
    info = scene_info(volume, parts, levels, start_slice=11, threshold=0.4, synthetic=True)
    client = TestClient(Starlette(routes=scene_routes()))
    scene = serve_scene(packed.key, ready(packed), volume)
    return client, scene, info, packed, volume


def test_the_browser_gets_surfaces_and_what_they_mean(served):
    client, scene, info, packed, volume = served
    answer = client.get(f"/scenes/{scene}/parts")
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    assert [s.name for _, s in unpack_surfaces(answer.content)] == ["C3", "C4"]
    said = client.get(f"/scenes/info/{serve_info(info.digest(), ready(packed), info)}").json()
    assert said["levels"]["C4"]["prob"] == 0.8
    assert said["levels"]["C7"] == {
        "color": "#8FA1AE", "prob": None, "slice_probs": [], "slices": None, "peak": None,
    }  # fmt: skip
    assert said["suspect"] == "C4"
    assert said["absent"] == ["true_boxes", "predicted_boxes", "fractures", "rest"]
    assert len(said["slice_z"]) == 16
    assert info.suspect.name == "C4"
    assert serve_scene(packed.key, ready(packed), volume) == scene
    assert packed.key not in scene
    assert gzip.decompress(gzip.compress(answer.content)) == packed.payload


def test_what_is_still_being_built_is_asked_for_again(served, monkeypatch):
    client, _, info, packed, volume = served
    monkeypatch.setattr(scene_routes_module, "ANSWER_WITHIN_S", 0.01)
    coming = Future()
    scene = serve_scene("built later", coming, volume)
    said = serve_info("said later", coming, info)
    paths = f"/scenes/{scene}/parts", f"/scenes/info/{said}"
    answers = [client.get(path) for path in paths]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
    assert client.get(f"/scenes/{scene}/axial?slice=4").status_code == 200
    coming.set_result(packed)
    assert client.get(paths[0]).content == packed.payload
    assert client.get(paths[1]).json()["levels"]["C4"]["prob"] == 0.8


def test_an_answer_comes_as_soon_as_the_surfaces_do(served):
    client, _, _, packed, volume = served
    coming = Future()
    scene = serve_scene("built soon", coming, volume)
    threading.Timer(0.2, coming.set_result, [packed]).start()
    began = time.monotonic()
    assert client.get(f"/scenes/{scene}/parts").content == packed.payload
    assert time.monotonic() - began < scene_routes_module.ANSWER_WITHIN_S / 2


def test_surfaces_that_failed_are_made_again_under_the_same_name(served):
    client, _, info, packed, volume = served
    broken = Future()
    broken.set_exception(SceneError("The mask is broken; export it again."))
    scene = serve_scene("at first broken", broken, volume)
    said = serve_info("at first unsaid", broken, info)
    paths = f"/scenes/{scene}/parts", f"/scenes/info/{said}"
    assert [client.get(path).status_code for path in paths] == [503, 503]
    assert serve_scene("at first broken", ready(packed), volume) == scene
    assert serve_info("at first unsaid", ready(packed), info) == said
    assert [client.get(path).status_code for path in paths] == [200, 200]


def test_a_scene_says_the_same_before_and_after_its_surfaces(served):
    _, _, info, packed, volume = served
    levels = {level.name: level for level in info.levels}
    bare = scene_info(volume, None, levels, start_slice=11, threshold=0.4, synthetic=True)
    assert bare.suspect is None
    assert bare.with_parts(packed.unpack()).suspect.name == "C4"
    assert bare.with_parts(packed.unpack()).parts.keys() == info.parts.keys()
    parts = packed.unpack()
    upper = dataclasses.replace(parts, vertebrae={"C3": parts.vertebrae["C3"]})
    assert bare.center == pytest.approx([14.5, 14.5, -15])
    # Slices 2 to 6 at 2 mm.
    assert bare.with_parts(upper).center == pytest.approx([14.5, 14.5, -8], abs=0.3)


def test_a_threshold_alone_makes_no_other_scene(served):
    _, _, info, _, _ = served
    assert dataclasses.replace(info, threshold=0.9).digest() == info.digest()
    assert dataclasses.replace(info, start_slice=2).digest() != info.digest()


def test_planes_come_with_their_place(served):
    client, scene, _, _, _ = served
    axial = client.get(f"/scenes/{scene}/axial?slice=4")
    assert cv2.imdecode(np.frombuffer(axial.content, np.uint8), 0).shape == (30, 30)
    corners = np.array(json.loads(axial.headers[CORNERS_HEADER]))
    assert corners == pytest.approx(
        np.array([[-0.5, -0.5, -8], [29.5, -0.5, -8], [-0.5, 29.5, -8]])
    )
    upright = client.get(f"/scenes/{scene}/upright?x=15&y=15&z=-15&turn=90&cut=4&half=6")
    corners = np.array(json.loads(upright.headers[CORNERS_HEADER]))
    assert corners[:, 1] == pytest.approx([11, 11, 11])
    assert corners[1, 0] - corners[0, 0] == pytest.approx(12, abs=1)


@pytest.mark.parametrize(
    "path",
    [
        "0" * 40 + "/parts",
        "info/" + "0" * 40,
        "{scene}/axial",
        "{scene}/axial?slice=16",
        "{scene}/axial?slice=-1",
        "{scene}/axial?slice=" + "9" * 5000,
        "{scene}/axial?slice=²",
        "{scene}",
        "",
        "{scene}/axial?slice=1e3",
        "{scene}/upright?x=1",
        "{scene}/upright?x=nan&y=0&z=0&turn=0&cut=0",
        "{scene}/upright?x=0&y=0&z=0&turn=inf&cut=0",
        "../{scene}/parts",
    ],
)
def test_anything_else_is_not_found(served, path):
    client, scene, _, _, _ = served
    assert client.get("/scenes/" + path.format(scene=scene)).status_code == 404


def test_vtk_js_is_served_from_the_installed_package(served):
    assert vtk_js_path().endswith("/vtk.js")
    answer = served[0].get(f"/scenes/{vtk_js_path()}")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert b"vtkCellPicker" in answer.content


def test_an_uploads_scene_goes_to_its_own_session_only(served):
    client, _, info, packed, volume = served
    scene = SCENES.register("upload", ServedScene(ready(packed), volume, "mine"))
    said = INFOS.register("upload", ServedInfo(ready(packed), lambda _: info, "mine"))
    own = {PROOF_HEADER: session_proof_of("mine")}
    for path in (f"{scene}/parts", f"info/{said}", f"{scene}/axial?slice=4",
                 f"{scene}/upright?x=15&y=15&z=-15&turn=90&cut=4"):  # fmt: skip
        answer = client.get(f"/scenes/{path}", headers=own)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        for proof in ({}, {PROOF_HEADER: session_proof_of("yours")}, {PROOF_HEADER: "mine"}):
            assert client.get(f"/scenes/{path}", headers=proof).status_code == 404
