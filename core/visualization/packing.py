"""Surfaces as one compact block of bytes: 16-bit points, 8-bit normals, the slice of each point.

Layout: the four bytes `CSPS`, the header's length as uint32, the header as JSON padded with spaces
to a multiple of four, then the arrays that it names, each beginning at a multiple of four.
Everything is little-endian.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.types import CTVolume
from core.visualization.surfaces import Surface

MAGIC: Final = b"CSPS"
_STEPS: Final = 65_535


def pack_surfaces(surfaces: Iterable[tuple[str, Surface]], volume: CTVolume, source: str) -> bytes:
    """Write surfaces for the browser.

    Args:
        surfaces: Kind ("vertebra", "fracture" or "rest") and surface.
        volume: Gives the slice of a point.
        source: What the vertebrae were cut from.
    """
    body = bytearray()
    entries: list[dict[str, Any]] = []
    for kind, surface in surfaces:
        low = surface.points.min(axis=0).astype(np.float64)
        extent = np.maximum(surface.points.max(axis=0) - low, 1e-6)
        steps = np.rint((surface.points - low) / extent * _STEPS).astype("<u2")
        small = len(surface.points) <= _STEPS
        arrays = {
            "points": steps,
            "normals": np.rint(vertex_normals(surface) * 127).astype("i1"),
            "slices": slice_of_points(surface.points, volume).astype("<u2"),
            "triangles": surface.triangles.astype("<u2" if small else "<u4"),
        }
        entries.append(
            {
                "kind": kind,
                "name": surface.name,
                "low": low.tolist(),
                "step": (extent / _STEPS).tolist(),
                "voxel_mm3": surface.voxel_mm3,
                "arrays": {name: _append(body, array) for name, array in arrays.items()},
            }
        )
    digest = hashlib.sha256(body).hexdigest()
    header = json.dumps({"source": source, "sha256": digest, "surfaces": entries}).encode()
    header += b" " * (-len(header) % 4)
    return MAGIC + struct.pack("<I", len(header)) + header + bytes(body)


def unpack_surfaces(payload: bytes) -> list[tuple[str, Surface]]:
    """Read what `pack_surfaces` wrote.

    Raises:
        ValueError: The bytes are something else, cut off or damaged.
    """
    header, body = read_header(payload)
    if hashlib.sha256(body).hexdigest() != header["sha256"]:
        raise ValueError("The packed surfaces are damaged; delete the file, it is made again.")
    found: list[tuple[str, Surface]] = []
    for entry in header["surfaces"]:
        points = _array(body, entry["arrays"]["points"]).astype(np.float64)
        points = (points * entry["step"] + entry["low"]).astype(np.float32)
        triangles = _array(body, entry["arrays"]["triangles"]).astype(np.int32)
        surface = Surface(entry["name"], points, triangles, entry["voxel_mm3"])
        found.append((entry["kind"], surface))
    return found


def read_header(payload: bytes) -> tuple[dict[str, Any], memoryview]:
    """The header and the arrays behind it.

    Raises:
        ValueError: The bytes are something else or cut off.
    """
    if payload[:4] != MAGIC or len(payload) < 8:
        raise ValueError("These are no packed surfaces.")
    (length,) = struct.unpack_from("<I", payload, 4)
    return json.loads(payload[8 : 8 + length]), memoryview(payload)[8 + length :]


def vertex_normals(surface: Surface) -> NDArray[np.float32]:
    """float32 (n, 3): outward unit normals, the mean of a point's triangles weighted by area."""
    a, b, c = (surface.points[surface.triangles[:, k]] for k in range(3))
    faces = np.cross(b - a, c - a)
    normals = np.zeros((len(surface.points), 3))
    for axis in range(3):
        weights = np.repeat(faces[:, axis], 3)
        normals[:, axis] = np.bincount(
            surface.triangles.ravel(), weights=weights, minlength=len(normals)
        )
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return (normals / np.where(length > 0, length, 1)).astype(np.float32)


def slice_of_points(points: NDArray[np.float32], volume: CTVolume) -> NDArray[np.int64]:
    """The nearest slice of each point in LPS mm, int64 (n,)."""
    row = np.linalg.inv(volume.affine)[0]
    index = np.rint(points @ row[:3] + row[3]).astype(np.int64)
    return np.clip(index, 0, volume.n_slices - 1)


def _append(body: bytearray, array: NDArray[Any]) -> dict[str, Any]:
    body.extend(b"\0" * (-len(body) % 4))
    start = len(body)
    body.extend(np.ascontiguousarray(array).tobytes())
    return {"start": start, "dtype": array.dtype.str, "shape": list(array.shape)}


def _array(body: memoryview, place: dict[str, Any]) -> NDArray[Any]:
    count = int(np.prod(place["shape"]))
    array = np.frombuffer(body, np.dtype(place["dtype"]), count, place["start"])
    return array.reshape(place["shape"])
