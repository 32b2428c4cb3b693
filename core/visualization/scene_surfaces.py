"""The surfaces of one study's scene, built once and kept by content."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from core.errors import SceneError
from core.system import atomic_files
from core.types import CTVolume
from core.visualization.bone import BONE_HU, REST_SETTINGS, rest_surface
from core.visualization.labels import LabelSource, VertebraLabels
from core.visualization.packing import pack_surfaces, read_header, unpack_surfaces
from core.visualization.surfaces import Surface, SurfaceSettings, label_surfaces

FORMAT: Final = 2
"""Raised when the same input gives other surfaces, so that old files are left alone."""

LINE_SETTINGS: Final = SurfaceSettings(
    smoothing_mm=0.25, grid_mm=0.6, triangles=6000, fill_holes=False, least_mm3=0.0
)
"""Fracture lines are a voxel thin; smoothing as for a vertebra would leave nothing."""

VERTEBRA_SETTINGS: Final = SurfaceSettings()
_FOLDER: Final = "surfaces"


@dataclass(frozen=True, slots=True, eq=False)
class SceneParts:
    """Surfaces of a study.

    Attributes:
        vertebrae: By name, C1 first.
        fractures: Fracture voxels by the name of their vertebra; empty where no truth is known.
        rest: Bone of no vertebra.
        source: What the vertebrae were cut from.
    """

    vertebrae: dict[str, Surface]
    fractures: dict[str, Surface]
    rest: Surface | None
    source: LabelSource

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """Vertebrae, fracture lines, the rest."""
        last = () if self.rest is None else (self.rest,)
        return (*self.vertebrae.values(), *self.fractures.values(), *last)


@dataclass(frozen=True, slots=True, eq=False)
class PackedParts:
    """Parts as bytes for a browser or a file, see `core.visualization.packing`.

    Attributes:
        key: sha256 of everything they depend on.
        payload: The bytes.
        source: What the vertebrae were cut from.
    """

    key: str
    payload: bytes
    source: LabelSource

    def unpack(self) -> SceneParts:
        """The surfaces, points rounded to a few µm."""
        kinds: dict[str, dict[str, Surface]] = {"vertebra": {}, "fracture": {}, "rest": {}}
        for kind, surface in unpack_surfaces(self.payload):
            kinds[kind][surface.name] = surface
        rest = next(iter(kinds["rest"].values()), None)
        return SceneParts(kinds["vertebra"], kinds["fracture"], rest, self.source)


def build_parts(
    volume: CTVolume, labels: VertebraLabels, lines: NDArray[np.uint8] | None = None
) -> SceneParts:
    """Make every surface of a study.

    Args:
        volume: The series.
        labels: Which vertebra a voxel belongs to.
        lines: uint8 (z, y, x), label of the vertebra in voxels that a fracture crosses.
    """
    found = {} if lines is None else label_surfaces(lines, volume.affine, LINE_SETTINGS)
    return SceneParts(
        vertebrae=label_surfaces(labels.labels, volume.affine, VERTEBRA_SETTINGS),
        fractures=found,
        rest=rest_surface(volume, labels.labels),
        source=labels.source,
    )


def parts_key(fingerprint: str, *sources: bytes) -> str:
    """Name of the surfaces made from a series and its labels.

    Args:
        fingerprint: sha256 of the series' files.
        sources: Content of what says where vertebrae and fractures are.
    """
    digest = hashlib.sha256()
    settings = [asdict(s) for s in (VERTEBRA_SETTINGS, LINE_SETTINGS, REST_SETTINGS)]
    recipe = {"format": FORMAT, "settings": settings, "bone_hu": BONE_HU, "series": fingerprint}
    digest.update(json.dumps(recipe, sort_keys=True).encode())
    for source in sources:
        digest.update(hashlib.sha256(source).digest())
    return digest.hexdigest()


def pack_parts(parts: SceneParts, key: str, volume: CTVolume) -> PackedParts:
    """Write parts as bytes, every point with the slice it lies on."""
    named = [
        *(("vertebra", surface) for surface in parts.vertebrae.values()),
        *(("fracture", surface) for surface in parts.fractures.values()),
        *(("rest", surface) for surface in (parts.rest,) if surface is not None),
    ]
    return PackedParts(key, pack_surfaces(named, volume, parts.source), parts.source)


def load_parts(cache: Path, key: str) -> PackedParts | None:
    """Surfaces kept earlier; None where there are none or the file is damaged."""
    try:
        payload = parts_file(cache, key).read_bytes()
        named = read_header(payload)[0]["source"]
        source = next(one for one in get_args(LabelSource) if one == named)
        packed = PackedParts(key, payload, source)
        packed.unpack()
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return None
    return packed


def keep_parts(cache: Path, packed: PackedParts) -> None:
    """Keep surfaces for the next time.

    Raises:
        StorageError: The cache cannot be written.
    """
    atomic_files.write_bytes(parts_file(cache, packed.key), packed.payload)


def parts_file(cache: Path, key: str) -> Path:
    """Where surfaces of this name are kept."""
    return cache / _FOLDER / key[:2] / f"{key}.surfaces"


def read_parts(path: Path) -> SceneParts:
    """Read surfaces from a file.

    Raises:
        SceneError: It is missing or holds something else.
    """
    packed = load_parts(path.parent.parent.parent, path.stem)
    if packed is None or parts_file(path.parent.parent.parent, path.stem) != path:
        raise SceneError(f"{path} holds no surfaces; open the study on the 3D page to make them.")
    return packed.unpack()
