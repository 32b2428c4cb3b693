from __future__ import annotations

import gzip

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dashboard.studies import served_bytes
from dashboard.studies.served_bytes import (
    PIXELS,
    PROOF_HEADER,
    PixelSource,
    ServedBytes,
    little_endian,
    session_proof_of,
)
from dashboard.widgets.slice_viewer.routes import viewer_routes


@pytest.fixture(scope="module")
def client():
    return TestClient(Starlette(routes=viewer_routes()))


@pytest.fixture
def hu():
    return np.random.default_rng(0).integers(-1024, 3000, (5, 6, 7)).astype(np.int16)


def source_of(hu, owner=None, planes=True):
    return PixelSource(
        slices=lambda i: hu[i],
        n_slices=len(hu),
        planes=(lambda: hu[::2]) if planes else None,
        volume=hu if planes else None,
        owner=owner,
    )


def pixels(answer, shape):
    return np.frombuffer(answer.content, "<i2").reshape(shape)


def test_slices_and_planes_arrive_bit_for_bit(client, hu):
    name = PIXELS.register("exact", source_of(hu))
    for i in range(5):
        answer = client.get(f"/pixels/{name}/slice/{i}")
        assert answer.headers["content-encoding"] == "gzip"
        assert "immutable" in answer.headers["cache-control"]
        np.testing.assert_array_equal(pixels(answer, (6, 7)), hu[i])
    np.testing.assert_array_equal(pixels(client.get(f"/pixels/{name}/planes"), (3, 6, 7)), hu[::2])


def test_whole_planes_arrive_bit_for_bit(client, hu):
    name = PIXELS.register("planes", source_of(hu))
    for i in range(7):
        answer = client.get(f"/pixels/{name}/sagittal/{i}")
        np.testing.assert_array_equal(pixels(answer, (5, 6)), hu[:, :, i])
    for i in range(6):
        answer = client.get(f"/pixels/{name}/coronal/{i}")
        np.testing.assert_array_equal(pixels(answer, (5, 7)), hu[:, i])
    assert client.get(f"/pixels/{name}/coronal/6").status_code == 404
    assert client.get(f"/pixels/{name}/sagittal/7").status_code == 404
    without = PIXELS.register("no planes", source_of(hu, planes=False))
    assert client.get(f"/pixels/{without}/sagittal/0").status_code == 404


@pytest.mark.parametrize(
    "place",
    [
        "slice/5",
        "slice/-1",
        "slice/x",
        "slice/99999999999",
        "no",
        "slice/" + "9" * 5000,
        "slice/²",
        "slice/0/0",
        "",
        "slice",
    ],
    ids=lambda place: place[:12],
)
def test_what_is_not_there_is_404(client, hu, place):
    name = PIXELS.register("missing", source_of(hu))
    assert client.get(f"/pixels/{name}/{place}").status_code == 404
    assert client.get("/pixels/unknown/slice/0").status_code == 404


def test_a_source_without_planes_has_none(client, hu):
    name = PIXELS.register("flat", source_of(hu, planes=False))
    assert client.get(f"/pixels/{name}/planes").status_code == 404


def test_an_upload_is_readable_by_its_own_session_only(client, hu):
    name = PIXELS.register("upload", source_of(hu, owner="mine"))
    own = {PROOF_HEADER: session_proof_of("mine")}
    for place in ("slice/0", "planes"):
        answer = client.get(f"/pixels/{name}/{place}", headers=own)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        for proof in ({}, {PROOF_HEADER: session_proof_of("yours")}, {PROOF_HEADER: "mine"},
                      {PROOF_HEADER: "\u00e9".encode()}):  # fmt: skip
            assert client.get(f"/pixels/{name}/{place}", headers=proof).status_code == 404


def test_names_differ_for_contents_and_owners(hu):
    names = {
        PIXELS.register(content, source_of(hu, owner))
        for content in ("a", "b")
        for owner in (None, "one", "two")
    }
    assert len(names) == 6
    assert all(len(name) == 32 for name in names)


def test_the_registry_forgets_the_oldest_and_stays_within_its_bytes(hu):
    registry = ServedBytes("test", max_sources=2, max_bytes=200)
    first, second = (registry.register(c, source_of(hu)) for c in "ab")
    registry.find(first, "")
    registry.register("c", source_of(hu))
    assert registry.find(second, "") is None
    source = registry.find(first, "")
    for i in (0, 1, 2, 0):
        packed = registry.packed(first, str(i), lambda i=i: little_endian(source.slices(i)))
        np.testing.assert_array_equal(
            np.frombuffer(gzip.decompress(packed), "<i2").reshape(6, 7), hu[i]
        )
        assert sum(map(len, registry._packed.values())) <= 200


def test_names_cannot_be_foreseen_and_differ_from_kind_to_kind(hu, monkeypatch):
    pixels, other = ServedBytes("a", 2, 200), ServedBytes("b", 2, 200)
    name = pixels.register("content", source_of(hu))
    assert "content" not in name
    assert pixels.register("content", source_of(hu)) == name
    assert other.register("content", source_of(hu)) != name
    monkeypatch.setattr(served_bytes, "_SECRET", b"of another start")
    assert pixels.register("content", source_of(hu)) != name
