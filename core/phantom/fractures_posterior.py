"""Fractures of laminae, joints and processes of C2-C7.

Sites after Woodring et al. 1993 (transverse processes, J Trauma 34:797-802), Cancelmo 1972 (clay
shoveler's, Am J Roentgenol 115:540-543) and Lee & Sung 2009 (lateral masses, J Trauma
67:1370-1375).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.phantom.fracture_draw import Built, FractureDraw
from core.phantom.fractures import Break, Fragment
from core.phantom.sdf import Points


def lamina(draw: FractureDraw) -> Built:
    """Across one lamina, or both, between joint and spinous process."""
    size = draw.size
    center = size.depth / 2 + size.canal_depth / 2
    both = draw.displaced and draw.chance(0.6)
    sides = (-1, 1) if both else draw.sides(0.2 if not draw.displaced else 0.0)
    breaks = [_lamina_crack(draw, side, center) for side in sides]
    if not draw.displaced:
        return Built(tuple(breaks))
    shift = draw.shift((0.0, draw.uniform(-1.0, 0.6), -0.7), breaks, at_most=3.0)
    faces = tuple(range(len(breaks)))
    fragment = Fragment(shift, faces, lambda p: p[1] > center, bend_mm=0.0 if both else 12.0)
    return Built(tuple(breaks), (fragment,))


def _lamina_crack(draw: FractureDraw, side: int, center: float) -> Break:
    """Square across the shell of bone behind the canal, which is half an ellipse."""
    size = draw.size
    angle = np.radians(draw.uniform(35, 65))
    across, along = size.canal_width / 2 + 2, size.canal_depth / 2 + 2
    point = (side * across * np.cos(angle), center + along * np.sin(angle), -2.0)
    normal = (-side * across * np.sin(angle), along * np.cos(angle), draw.uniform(-3, 3))
    return draw.cut(
        (float(point[0]), float(point[1]), point[2]),
        (float(normal[0]), float(normal[1]), normal[2]),
        lambda p: (side * p[0] > 2) & (p[1] > center),
    )


def facet(draw: FractureDraw) -> Built:
    """The tip of an upper articular process, or a hairline upright through the pillar."""
    size = draw.size
    s = draw.sides(0.0)[0]
    tall = size.height / 2 + 12

    def pillar(p: Points) -> NDArray[np.bool_]:
        u, a, h = p
        beside = (s * u > size.canal_width / 2 - 1) & (a > size.depth / 2 + 0.5)
        return beside & (a < size.pillar_a + 9) & (np.abs(h) < tall)

    if not draw.displaced and draw.chance(0.4):
        upright = draw.cut(
            (s * (size.pillar_u + draw.uniform(-1.5, 1.5)), size.pillar_a, 0.0),
            (s * 1.0, draw.uniform(-0.4, 0.4), 0.1), pillar,
        )  # fmt: skip
        return Built((upright,))
    point = (s * size.pillar_u, size.pillar_a, draw.uniform(5.0, 7.0))
    tip = draw.cut(point, (s * 0.2, draw.uniform(-0.4, 0.1), 1.0), pillar)
    return draw.one_piece(tip, (s * 0.3, -1.0, 0.3), at_most=3.0)


def transverse_process(draw: FractureDraw) -> Built:
    """Across one transverse process, often through its foramen; pulled down by the scalenes."""
    size = draw.size
    s = draw.sides(0.0)[0]
    root = np.array([size.pillar_u, size.pillar_a - 3.5])
    long = size.transverse > size.pillar_u + 11
    tip = np.array([size.transverse, size.foramen_a + (6.0 if long else 2.0)])
    at = root + draw.uniform(0.55, 0.8) * (tip - root)
    run = (tip - root) / np.linalg.norm(tip - root)

    def beside(p: Points) -> NDArray[np.bool_]:
        u, a, h = p
        return (s * u > size.width / 2 + 2) & (a < size.depth / 2 + 8) & (np.abs(h) < 16)

    cut = draw.cut(
        (s * float(at[0]), float(at[1]), -2.0),
        (s * float(run[0]), float(run[1]), draw.uniform(-0.2, 0.2)), beside,
    )  # fmt: skip
    return draw.one_piece(cut, (s * 0.3, -0.3, -1.0), at_most=3.0)


def spinous_process(draw: FractureDraw) -> Built:
    """Across a spinous process behind the laminae; its end pulled down and back."""
    size = draw.size
    start = size.depth / 2 + size.canal_depth
    at = start + max(size.spinous * draw.uniform(0.3, 0.65), 6.5)

    def behind(p: Points) -> NDArray[np.bool_]:
        return (p[1] > start + 3.0) & (np.abs(p[0]) < 14)

    drop = -4.0 - 0.3 * (at - start)
    normal = (draw.uniform(-0.25, 0.25), 1.0, draw.uniform(-0.6, 0.1))
    cut = draw.cut((0.0, at, drop), normal, behind)
    return draw.one_piece(cut, (0.0, 0.35, -1.0))
