"""Fractures of the bodies of C2-C7.

Types A1 to A4 of the AO Spine subaxial classification (Vaccaro et al. 2016, Eur Spine J
25:2173-2184); the teardrop after Schneider & Kahn 1956 (J Bone Joint Surg Am 38:985-997).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.phantom.fracture_draw import Built, FractureDraw
from core.phantom.fractures import Break, Collapse, Fragment, Region
from core.phantom.fractures_posterior import lamina
from core.phantom.sdf import Points
from core.phantom.sizes import VertebraSize


def compression(draw: FractureDraw) -> Built:
    """The front of the upper end plate: a crack below it, or compressed without a gap."""
    size = draw.size
    front = _body(size, back=draw.uniform(0.0, 0.35) * size.depth)
    if not draw.displaced:
        below = size.height / 2 - draw.uniform(2.8, 4.5)
        return Built(
            (draw.cut((0.0, -size.depth / 3, below), (0.0, draw.uniform(-0.1, 0.3), 1.0), front),)
        )
    collapse = Collapse(_loss(draw, 1.2, 4.0), wedge=True)
    if draw.chance(0.55):
        return Built((), (), collapse)
    body = _body(size, back=size.depth / 2 + 3)
    corner = draw.cut(
        (0.0, -size.depth * 0.33, size.height / 2 - 2.0 - collapse.depth_mm / draw.scale),
        (0.0, -1.0, draw.uniform(0.6, 1.4)), body,
    )  # fmt: skip
    shift = draw.shift((0.0, -1.0, -0.4), (corner,), at_most=2.0)
    return Built((corner,), (Fragment(shift, (0,), body),), collapse)


def burst(draw: FractureDraw) -> Built:
    """A split in two halves and a fractured back wall, which may be displaced towards the cord."""
    size = draw.size
    back = draw.cut(
        (0.0, size.depth * draw.uniform(0.0, 0.2), 0.0), (0.0, 1.0, draw.uniform(0.1, 0.45)),
        _body(size, back=size.depth / 2 + 5), wide=True,
    )  # fmt: skip
    breaks = (_split(draw), back)
    if not draw.displaced:
        return Built(breaks)
    shift = draw.shift((0.0, 1.0, -0.1), (), at_most=4.0)
    fragments = (Fragment(shift, (1,), _back_wall(size)),)
    collapse = Collapse(_loss(draw, 0.8, 3.0), wedge=False)
    if draw.chance(0.4):
        breaks = (*breaks, lamina(draw).breaks[0])
    return Built(breaks, fragments, collapse)


def teardrop(draw: FractureDraw) -> Built:
    """The lower front corner, displaced forward; at C3-C7 sometimes with the body split in two."""
    size = draw.size
    rise = min(size.height, 14.0) * draw.uniform(0.3, 0.55)
    reach = size.depth * draw.uniform(0.25, 0.4)
    steep = float(np.arctan2(rise, reach))
    corner = draw.cut(
        (0.0, -size.depth / 2 + reach / 2, -size.height / 2 + rise / 2),
        (0.0, -np.sin(steep), -np.cos(steep)), _body(size, back=0.0), wide=True,
    )  # fmt: skip
    split = (_split(draw),) if size.uncus and draw.chance(0.35) else ()
    if not draw.displaced:
        return Built((corner, *split))
    shift = draw.shift((0.0, -1.0, -0.35), (corner,), at_most=4.0)
    return Built((corner, *split), (Fragment(shift, (0,), _body(size, back=1.0)),))


def _split(draw: FractureDraw) -> Break:
    """A sagittal crack through the whole body."""
    size = draw.size
    return draw.cut(
        (draw.uniform(-0.2, 0.2) * size.width, 0.0, 0.0), (1.0, draw.uniform(-0.3, 0.3), 0.0),
        _body(size, back=size.depth / 2 + 1.5),
    )  # fmt: skip


def _loss(draw: FractureDraw, low: float, high: float) -> float:
    if draw.loss_share is not None:
        return draw.uniform(0.08, draw.loss_share) * draw.size.height * draw.scale
    return draw.uniform(low, min(high, 0.3 * draw.size.height * draw.scale))


def _body(size: VertebraSize, back: float) -> Region:
    """The body in front of a = `back`, transverse processes left out."""

    def inside(p: Points) -> NDArray[np.bool_]:
        u, a, h = p
        high = np.abs(h) < size.height / 2 + 8
        return (np.abs(u) < size.width / 2 + 2.0) & (a < back) & high

    return inside


def _back_wall(size: VertebraSize) -> Region:
    """Weights: 1 between the pedicles and above the lower end plate, fading towards both."""

    def weight(p: Points) -> NDArray[np.float32]:
        u, a, h = p
        across = np.clip((size.width / 2 - np.abs(u)) / np.float32(3), 0, 1)
        above = np.clip((h + size.height / 2) / np.float32(size.height / 3), 0, 1)
        return (across * above * (a < size.depth / 2 + 7)).astype(np.float32)

    return weight
