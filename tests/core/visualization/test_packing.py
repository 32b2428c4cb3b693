from __future__ import annotations

import numpy as np
import pytest

from core.visualization.labels import VertebraLabels
from core.visualization.packing import (
    _array,
    pack_surfaces,
    read_header,
    unpack_surfaces,
    vertex_normals,
)
from core.visualization.scene_surfaces import (
    build_parts,
    keep_parts,
    load_parts,
    pack_parts,
    parts_key,
)
from core.visualization.surfaces import mask_surface
from tests.core.visualization.solids import affine, ball, volume_of


@pytest.fixture(scope="module")
def packed():
    labels = np.zeros((30, 40, 40), np.uint8)
    labels[4:14, 8:30, 8:30] = 3
    labels[16:26, 8:30, 8:30] = 4
    lines = np.where(np.arange(40) == 20, labels, 0).astype(np.uint8)
    volume = volume_of(np.where(labels > 0, 600, 0), (2.0, 1.0, 1.0))
    parts = build_parts(volume, VertebraLabels(labels, "mask"), lines)
    return parts, pack_parts(parts, parts_key("f", labels.tobytes()), volume), volume


def test_what_was_packed_comes_back(packed):
    parts, bundle, _ = packed
    back = bundle.unpack()
    assert list(back.vertebrae) == ["C3", "C4"]
    assert list(back.fractures) == ["C3", "C4"]
    assert back.source == "mask"
    for name, surface in parts.vertebrae.items():
        assert np.abs(back.vertebrae[name].points - surface.points).max() < 0.001
        np.testing.assert_array_equal(back.vertebrae[name].triangles, surface.triangles)
        assert back.vertebrae[name].voxel_mm3 == surface.voxel_mm3
    assert [len(s.triangles) for s in back.surfaces] == [len(s.triangles) for s in parts.surfaces]


def test_every_point_knows_its_slice(packed):
    parts, bundle, _ = packed
    header, body = read_header(bundle.payload)
    entry = header["surfaces"][0]
    slices = _array(body, entry["arrays"]["slices"])
    z = parts.vertebrae["C3"].points[:, 2]
    assert np.abs(slices * -2.0 - z).max() <= 1.0 + 1e-3


def test_surfaces_are_kept_by_content_and_a_damaged_file_is_made_again(packed, tmp_path):
    _, bundle, _ = packed
    assert load_parts(tmp_path, bundle.key) is None
    keep_parts(tmp_path, bundle)
    assert load_parts(tmp_path, bundle.key).payload == bundle.payload
    (file,) = tmp_path.rglob("*.surfaces")
    for broken in (b"", b"CSPS", bundle.payload[:-9], bundle.payload[:200],
                   bundle.payload[:-4] + b"\1\2\3\4"):  # fmt: skip
        file.write_bytes(broken)
        assert load_parts(tmp_path, bundle.key) is None
    assert [p.name for p in tmp_path.rglob(".*")] == []


def test_another_source_has_another_key():
    keys = {parts_key("a", b"x"), parts_key("b", b"x"), parts_key("a", b"y"), parts_key("a"),
            parts_key("a", b"x", b"y"), parts_key("a", b"y", b"x")}  # fmt: skip
    assert len(keys) == 6
    assert parts_key("a", b"x") == parts_key("a", b"x")


def test_normals_point_away_from_a_ball():
    surface = mask_surface(ball((24, 24, 24), (1, 1, 1), 9), affine((1, 1, 1)), name="ball")
    normals = vertex_normals(surface)
    away = surface.points - surface.center
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    assert np.einsum("ij,ij->i", normals, away).min() > 0.8
    assert np.linalg.norm(normals, axis=1) == pytest.approx(1, abs=1e-5)


def test_other_bytes_are_no_surfaces(packed):
    for wrong in (b"", b"GIF89a12", b"CSPS\xff\xff\xff\xff"):
        with pytest.raises(ValueError):  # noqa: PT011 - json's own error is one too
            unpack_surfaces(wrong)
    _, _, volume = packed
    assert unpack_surfaces(pack_surfaces([], volume, "mask")) == []
