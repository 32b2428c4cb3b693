"""Surfaces as files for other programs: binary STL and GLB."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.visualization.packing import vertex_normals
from core.visualization.surfaces import Surface

_ARRAY_BUFFER: Final = 34962
_ELEMENT_BUFFER: Final = 34963
_FLOAT: Final = 5126
_UINT: Final = 5125
_LPS_TO_GLTF: Final = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]], np.float32) / 1000
"""glTF has y up and metres: x to the patient's left, y to the head, z to the front."""


def stl_bytes(surface: Surface) -> bytes:
    """Binary STL, LPS mm.

    Args:
        surface: What to write; its name goes into the 80 bytes of header.
    """
    corners = surface.points[surface.triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    record = np.zeros(len(corners), dtype=[("f", "<f4", (4, 3)), ("attribute", "<u2")])
    record["f"][:, 0] = normal / np.where(length > 0, length, 1)
    record["f"][:, 1:] = corners
    header = f"{surface.name}, LPS mm".encode("ascii", "replace")[:80].ljust(80)
    return header + struct.pack("<I", len(corners)) + record.tobytes()


def stl_archive(surfaces: Iterable[Surface]) -> bytes:
    """A zip with one STL a surface, named for it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for surface in surfaces:
            archive.writestr(f"{surface.name.replace(' ', '_')}.stl", stl_bytes(surface))
    return stream.getvalue()


def glb_bytes(
    surfaces: Iterable[Surface], colors: Mapping[str, str], *, translucent: Iterable[str] = ()
) -> bytes:
    """A binary glTF 2.0 with one named, coloured node a surface.

    Args:
        surfaces: LPS mm; written in metres with y up, as glTF wants it.
        colors: "#RRGGBB" by name; grey where absent.
        translucent: Names of surfaces to see through.
    """
    see_through = set(translucent)
    body = bytearray()
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "C-Spine Fracture Lab"},
        "scene": 0, "scenes": [{"nodes": []}],
        "nodes": [], "meshes": [], "materials": [], "accessors": [], "bufferViews": [],
    }  # fmt: skip
    for k, surface in enumerate(surfaces):
        points = surface.points @ _LPS_TO_GLTF.T
        normals = vertex_normals(surface) @ _LPS_TO_GLTF.T * 1000
        attributes = {
            "POSITION": _accessor(document, body, points, "VEC3", limits=True),
            "NORMAL": _accessor(document, body, normals, "VEC3"),
        }
        indices = _accessor(document, body, surface.triangles.reshape(-1).astype("<u4"), "SCALAR")
        primitive = {"attributes": attributes, "indices": indices, "material": k}
        document["meshes"].append({"name": surface.name, "primitives": [primitive]})
        document["nodes"].append({"name": surface.name, "mesh": k})
        document["scenes"][0]["nodes"].append(k)
        clear = surface.name in see_through
        document["materials"].append(_material(colors.get(surface.name, "#B8B8B8"), clear=clear))
    document["buffers"] = [{"byteLength": len(body)}]
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    binary = bytes(body) + b"\0" * (-len(body) % 4)
    total = 12 + 8 + len(text) + 8 + len(binary)
    return b"".join(
        [struct.pack("<4sII", b"glTF", 2, total), struct.pack("<I4s", len(text), b"JSON"), text,
         struct.pack("<I4s", len(binary), b"BIN\0"), binary]
    )  # fmt: skip


def _accessor(
    document: dict[str, Any],
    body: bytearray,
    array: NDArray[Any],
    kind: str,
    *,
    limits: bool = False,
) -> int:
    whole = kind == "SCALAR"
    data = np.ascontiguousarray(array, "<u4" if whole else "<f4")
    view = {"buffer": 0, "byteOffset": len(body), "byteLength": data.nbytes,
            "target": _ELEMENT_BUFFER if whole else _ARRAY_BUFFER}  # fmt: skip
    body.extend(data.tobytes())
    accessor: dict[str, Any] = {
        "bufferView": len(document["bufferViews"]), "count": len(data), "type": kind,
        "componentType": _UINT if whole else _FLOAT,
    }  # fmt: skip
    if limits:
        accessor |= {"min": data.min(axis=0).tolist(), "max": data.max(axis=0).tolist()}
    document["bufferViews"].append(view)
    document["accessors"].append(accessor)
    return len(document["accessors"]) - 1


def _material(color: str, *, clear: bool) -> dict[str, Any]:
    red, green, blue = (_linear(int(color[k : k + 2], 16) / 255) for k in (1, 3, 5))
    pbr = {"baseColorFactor": [red, green, blue, 0.18 if clear else 1.0],
           "metallicFactor": 0.0, "roughnessFactor": 0.65}  # fmt: skip
    return {"pbrMetallicRoughness": pbr, "doubleSided": True} | (
        {"alphaMode": "BLEND"} if clear else {}
    )


def _linear(value: float) -> float:
    """From sRGB to linear light (IEC 61966-2-1); glTF's factors are linear."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
