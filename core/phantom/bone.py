"""HU inside bone: a compact shell, spongy bone with its grain, veins, worn and dense end plates.

Shells are thinnest over the end plates and thickest in laminae and dens (Panjabi et al. 2001,
"The cortical shell architecture of human cervical vertebral bodies", Spine 26:2478-2484: 0.4-0.7
mm; a scanner shows them wider and less dense).
"""

from __future__ import annotations

import numpy as np

from core.phantom.anatomy import Anatomy
from core.phantom.sdf import Field, Points, capsule

GRAIN_HU = 62.0
"""Standard deviation of the trabecular texture."""
GRAIN_MM = 0.6
"""Edge of the texture's voxels."""
VEIN_HU = 70.0
SHELL_FADE_MM = 0.8


def bone_hu(name: str, points: Points, distance: Field, anatomy: Anatomy) -> Field:
    """HU of a vertebra's bone by position and depth below its surface.

    Args:
        name: C1..T3.
        points: (u, a, h) in mm of the vertebra's frame, each of the shape of `distance`.
        distance: Signed mm to the surface of the whole bone, negative inside.
        anatomy: The person.

    Returns:
        float32 HU, valid where the distance is below about 1 mm.
    """
    shape = anatomy.shapes[name]
    u, a, h = points
    size = shape.size
    behind = np.clip((a - np.float32(size.depth / 2 + 1)) / np.float32(3), 0, 1)
    thick = np.float32(anatomy.cortex_mm) * (np.float32(0.75) + np.float32(0.3) * behind)
    if name == "C1":
        thick = np.float32(anatomy.cortex_mm)
    if anatomy.look is not None:
        thick = thick * anatomy.look.thickness(points, size, body=name != "C1")
    inside = np.clip((-distance - thick) / np.float32(SHELL_FADE_MM), 0, 1)
    shell = np.float32(anatomy.cortex_hu) * (np.float32(0.88) + np.float32(0.12) * behind)
    grain_hu = GRAIN_HU
    if anatomy.look is not None:
        grain_hu, shell = anatomy.look.grain_hu, shell * anatomy.look.brightness(points)
    spongy = np.float32(anatomy.trabecular_hu) + np.float32(grain_hu) * _grain(points, anatomy)
    if anatomy.look is not None:
        spongy = spongy + anatomy.look.patches(points)
    if name != "C1":
        spongy = spongy + _sclerosis(points, shape.sclerosis, size.height, size.depth)
    bone = shell + inside * (spongy - shell)
    if name not in ("C1", "C2"):
        bone = _with_vein(bone, (u, a, h), size.depth)
    return bone.astype(np.float32, copy=False)


def _grain(points: Points, anatomy: Anatomy) -> Field:
    """Texture at the nearest texture voxel; it wraps around."""
    step = np.float32(1 / (GRAIN_MM))
    iu, ia, ih = ((p * step).astype(np.int32) & 63 for p in points)
    return anatomy.texture.ravel().take((ih * 64 + ia) * 64 + iu)


def _sclerosis(
    points: Points, wear: tuple[float, float], height: float, depth: float
) -> Field | np.float32:
    """Extra HU below worn end plates."""
    if max(wear) < 0.1:
        return np.float32(0)
    _, a, h = points
    in_body = (a < depth / 2) * np.float32(420)
    up = np.clip(1 - (np.float32(height / 2) - h) / np.float32(5), 0, 1) * np.float32(wear[0])
    down = np.clip(1 - (np.float32(height / 2) + h) / np.float32(5), 0, 1) * np.float32(wear[1])
    return in_body * (up + down)


def _with_vein(bone: Field, points: Points, depth: float) -> Field:
    """Open the channels of the basivertebral vein, a Y from the middle of the back wall."""
    u, a, h = points
    near = np.flatnonzero((np.abs(h) < 3) & (np.abs(u) < depth / 2) & (a < depth / 2 + 1))
    if not near.size:
        return bone
    flat = bone.ravel()
    spot = u.ravel()[near], a.ravel()[near], h.ravel()[near]
    stem = capsule(spot, (0, depth / 2 + 1, 0.3), (0, 1.5, 0.3), 1.3, 1.0)
    left = capsule(spot, (0, 1.5, 0.3), (3.5, -depth / 5, 0.3), 0.9, 0.4)
    right = capsule(spot, (0, 1.5, 0.3), (-3.5, -depth / 5, 0.3), 0.9, 0.4)
    channel = np.minimum(np.minimum(stem, left), right)
    share = np.clip(np.float32(0.5) - channel / np.float32(0.9), 0, 1) * np.float32(0.85)
    flat[near] += share * (np.float32(VEIN_HU) - flat[near])
    return flat.reshape(bone.shape)
