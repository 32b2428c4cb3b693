from __future__ import annotations

import itertools
import time

import pytest

from core.visualization.scene_sources import SceneSources
from core.visualization.scene_surfaces import PackedParts
from dashboard.spine_3d import scene, second_renderer, surfaces
from dashboard.spine_3d.viewer.component import SceneEvents
from tests.pages.driver import html, open_page


@pytest.fixture
def drawn(monkeypatch):
    """A browser that has drawn every scene it was given."""
    shown = SceneEvents(drawn=True, failed=None, chosen=None)
    monkeypatch.setattr(scene, "scene_3d", lambda *_args, **_options: shown)


def opened():
    """The page once the networks have read the study and the surfaces are built."""
    app = open_page("spine_3d")
    deadline = time.monotonic() + 90
    while "Vertebrae in figures" not in html(app) or "Probabilities" not in captions(app):
        assert time.monotonic() < deadline, html(app)
        assert not app.error, [error.value for error in app.error]
        time.sleep(0.2)
        app.run()
    return app


def captions(app):
    return " ".join(caption.value for caption in app.caption)


@pytest.mark.slow
def test_a_study_without_a_mask_is_cut_by_what_the_networks_see(at_work, drawn):
    app = opened()
    assert "This study has no mask" in captions(app)
    assert not app.warning or "viewer did not start" not in app.warning[0].value
    assert list((at_work.var / "cache" / "surfaces").rglob("*.surfaces"))
    assert "Download<span>" in html(app)


def test_the_scene_comes_first_and_what_belongs_to_it_follows(at_work, monkeypatch):
    asked = []

    def drawing(scene, info, **options):
        asked.append((scene, info, options["built"]))
        return SceneEvents(drawn=False, failed=None, chosen=None)

    monkeypatch.setattr(scene, "scene_3d", drawing)
    surfaces._pool.clear()
    for file in (at_work.var / "cache" / "surfaces").rglob("*.surfaces"):
        file.unlink()
    app = open_page("spine_3d")
    deadline = time.monotonic() + 90
    while not asked or not asked[-1][2]:
        assert time.monotonic() < deadline, html(app)
        time.sleep(0.2)
        app.run()
    assert "appear after the scene" in html(app)
    assert "Vertebrae in figures" not in html(app)
    assert not app.get("plotly_chart")
    # The browser asked for the surfaces before they were there, by the name they still have.
    assert not asked[0][2]
    assert len({(scene, info) for scene, info, _ in asked}) == 1


@pytest.fixture
def shown(monkeypatch):
    """Pages that stpyvista was given; each drawing is another one."""
    pages, count = [], itertools.count()
    monkeypatch.setattr(second_renderer, "_frame", pages.append)
    monkeypatch.setattr(second_renderer, "_drawn", lambda *_: f"page {next(count)}")
    second_renderer._pool.clear()
    return pages


def test_a_browser_that_cannot_draw_gets_the_reason_and_the_second_renderer(
    at_work, monkeypatch, shown
):
    def cannot(*_args, **_options):
        return SceneEvents(drawn=False, failed="this browser has no WebGL", chosen=None)

    monkeypatch.setattr(scene, "scene_3d", cannot)
    app = opened()
    assert "this browser has no WebGL" in " ".join(warning.value for warning in app.warning)
    until(app, lambda: shown)
    assert "second_renderer_button" not in [button.key for button in app.button]


@pytest.mark.slow
def test_the_second_renderer_opens_by_its_button_and_is_drawn_once_a_scene(at_work, drawn, shown):
    app = opened()
    assert not shown
    app.button(key="second_renderer_button").click().run()
    until(app, lambda: shown)
    app.run()
    assert len(shown) > 1
    assert len(set(shown)) == 1
    count = len(shown)
    app.button(key="second_renderer_button").click().run()
    app.run()
    assert len(shown) == count


@pytest.mark.slow
def test_a_second_renderer_that_fails_gives_the_reason_and_can_be_tried_again(
    at_work, drawn, shown, monkeypatch
):
    from core.errors import SceneError

    def cannot(*_):
        raise SceneError("This machine cannot draw; install Mesa.")

    monkeypatch.setattr(second_renderer, "_drawn", cannot)
    app = opened()
    app.button(key="second_renderer_button").click().run()
    until(app, lambda: app.error)
    assert app.error[0].value == "This machine cannot draw; install Mesa."
    monkeypatch.setattr(second_renderer, "_drawn", lambda *_: "page")
    app.button(key="second_renderer_again").click().run()
    until(app, lambda: shown)
    assert not app.error


def until(app, condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, html(app)
        time.sleep(0.1)
        app.run()


def test_surfaces_that_cannot_be_built_are_an_error_with_a_way_on(at_work, monkeypatch):
    from core.errors import SceneError

    def broken(*_args, **_options):
        raise SceneError("The mask is broken; export it again.")

    monkeypatch.setattr(SceneSources, "build", broken)
    monkeypatch.setattr(surfaces, "load_parts", lambda *_: None)
    surfaces._pool.clear()
    app = open_page("spine_3d")
    deadline = time.monotonic() + 60
    while not app.error:
        assert time.monotonic() < deadline, html(app)
        time.sleep(0.2)
        app.run()
    assert app.error[0].value == "The mask is broken; export it again."
    monkeypatch.undo()


def test_a_network_is_needed_without_a_mask(at_work, monkeypatch, tmp_path):
    monkeypatch.setenv("CHECKPOINTS", str(tmp_path))
    app = open_page("spine_3d")
    assert "no network that finds the vertebrae" in html(app)


def test_only_so_many_surfaces_stay_in_memory():
    surfaces._pool.clear()
    pool = surfaces._pool()
    for k in range(12):
        pool.put(str(k), PackedParts(str(k), b"", "mask"))
    assert [k for k in range(12) if pool.find(str(k))] == list(range(4, 12))
    surfaces._pool.clear()


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["gif"])
def test_a_film_that_fails_says_why_in_one_sentence(at_work, ending):
    from core.errors import SceneError
    from core.visualization.labels import VertebraLabels
    from core.visualization.scene import scene_info
    from core.visualization.scene_surfaces import build_parts, pack_parts, parts_key
    from tests.core.visualization.solids import volume_of

    volume = volume_of([[[0] * 8] * 8] * 4)
    parts = build_parts(volume, VertebraLabels(volume.hu.astype("uint8"), "mask"))
    packed = pack_parts(parts, parts_key("empty"), volume)
    with pytest.raises(SceneError, match="no vertebra to draw"):
        surfaces.film_of(packed, scene_info(volume, parts, {}), ending, session="")
