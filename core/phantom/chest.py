"""First three pairs of ribs, collar bones, shoulder blades and the tops of the lungs."""

from __future__ import annotations

import numpy as np

from core.phantom.anatomy import Anatomy
from core.phantom.brush import Brush, bone_shade
from core.phantom.neck_frame import NeckFrame
from core.phantom.scene import PLAIN, Scene

HU_LUNG = -850.0

RIBS = {
    "T1": ((15.5, 7.5, 3), (25, 12, 3), (40, 17, 3), (56, 12, -3), (64, -6, -13), (60, -28, -23),
           (46, -50, -32)),
    "T2": ((15.0, 8.5, 7), (24, 14, 5), (38, 22, 4), (60, 28, -3), (80, 16, -18), (86, -12, -34),
           (74, -46, -50)),
    "T3": ((14.5, 9.5, 8), (23, 15, 6), (36, 24, 4), (62, 36, -5), (90, 28, -22), (102, -4, -42)),
}  # fmt: skip
"""Knots (u to the side, a, h) of a rib from its head, in its vertebra's frame, mm."""


def paint_chest(brush: Brush, neck: NeckFrame, anatomy: Anatomy, scene: Scene = PLAIN) -> None:
    """Paint the lungs' tops, ribs, collar bones and shoulder blades."""
    s = anatomy.scale
    x, y = neck.spine
    depth = neck.moved(scene.lungs).level["T1"] + 2 - neck.z
    grown = np.sqrt(np.clip(depth / 42, 0, 1))
    seen = depth > 0
    shade = bone_shade(0.85 * anatomy.cortex_hu, 260.0, 1.2)
    for side in (-1, 1):
        u = x + side * (38 + 8 * grown) * s
        brush.tube(u, y + 2 * s, 27 * s * grown, 36 * s * grown, HU_LUNG, 0.0, seen)
        for name, knots in RIBS.items():
            pose = anatomy.poses[name]
            size = anatomy.shapes[name].size
            path = np.array(knots) * (side, 1, 1)
            path[:, 1] += size.depth / 2 - 9.5
            radii = [2.9, 2.5, 3.4, *[3.2] * (len(knots) - 3)]
            brush.rod(pose.world(path, s).tolist(), radii, shade, 0.85)
        shoulder = neck.level["C7"] - anatomy.shoulder_mm
        cx, cy = neck.place((x, y), neck.level["T2"])
        collar = [(16, -66, -34), (40, -64, -24), (70, -48, -10), (104, -26, 0), (140, -8, 2)]
        world = np.array([(cx + side * u * s, cy + a * s, shoulder - 12 + h) for u, a, h in collar])
        brush.rod(world.tolist(), (7.5, 5.5, 5.2, 5.0, 6.0), shade)
        blade = [(62, 62, -48), (68, 58, -30), (92, 44, -22), (130, 24, -14)]
        world = np.array([(cx + side * u * s, cy + a * s, shoulder + h) for u, a, h in blade])
        brush.rod(world.tolist(), (2.2, 3.0, 4.0, 5.0), shade)
