"""Fractures of C1 and C2, each at its real site.

Atlas: the ring breaks in two to four places, at its thin spots beside the lateral masses (Jefferson
1920; Landells & Van Peteghem 1988, Spine 13:450-452). Dens: tip, neck and body (Anderson & D'Alonzo
1974, J Bone Joint Surg Am 56:1663-1674). Hangman's: both partes interarticulares (Effendi et al.
1981, J Bone Joint Surg Br 63:319-327; Levine & Edwards 1985).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.phantom.fracture_draw import Built, FractureDraw
from core.phantom.fractures import Break, Fragment
from core.phantom.sdf import Points


def jefferson(draw: FractureDraw) -> Built:
    """Two to four breaks of the ring; lateral masses between two of them move outwards."""
    parts = draw.uniform(0, 1)
    whole = draw.sides(0.35 if parts < 0.6 else 0.0)
    behind = whole if parts < 0.3 else (-1, 1)
    breaks: list[Break] = []
    fragments: list[Fragment] = []
    for side in sorted({*whole, *behind}):
        bounds: list[Break] = []
        if side in whole:
            bounds.append(_anterior_arch(draw, side))
        if side in behind:
            bounds.append(_posterior_arch(draw, side, towards_mass=True))
        if draw.displaced and side in whole:
            drift = (side * 1.0, draw.uniform(-0.8, 0.8), draw.uniform(-0.8, 0.0))
            faces = tuple(range(len(breaks), len(breaks) + len(bounds)))
            fragments.append(
                Fragment(draw.shift(drift, bounds), faces, lambda p, s=side: s * p[0] > 1)
            )
        breaks += bounds
    return Built(tuple(breaks), tuple(fragments))


def posterior_arch(draw: FractureDraw) -> Built:
    """Breaks at the groove of the vertebral artery; the arch between two of them moves back."""
    sides = draw.sides(0.7 if not draw.displaced else 1.0)
    breaks = [_posterior_arch(draw, s, towards_mass=False) for s in sides]
    if not draw.displaced:
        return Built(tuple(breaks))
    shift = draw.shift((0.0, 0.6, -1.0), breaks, at_most=3.0)
    return Built(tuple(breaks), (Fragment(shift, (0, 1), lambda p: p[1] > 3),))


def odontoid_1(draw: FractureDraw) -> Built:
    """Oblique avulsion of the tip of the dens by an alar ligament."""
    side = draw.sides(0.0)[0]
    cut = draw.cut(
        (0.0, -1.8, draw.uniform(23.0, 25.0)), (side * draw.uniform(0.3, 0.6), 0.0, 1.0), _dens,
    )  # fmt: skip
    return draw.one_piece(cut, (side * 0.6, 0.0, 1.0), at_most=2.5)


def odontoid_2(draw: FractureDraw) -> Built:
    """Across the neck of the dens, level or sloping to the back or front."""
    slope = float(draw.rng.choice((-1, 1))) * draw.uniform(0.0, 0.5)
    clear_of_body = 10.8 + 5.4 * abs(slope)
    cut = draw.cut(
        (0.0, -1.6, clear_of_body + draw.uniform(0.0, 1.5)), (0.0, slope, 1.0),
        lambda p: _dens(p) & (p[1] < 5.5),
    )  # fmt: skip
    return draw.one_piece(cut, (0.0, float(draw.rng.choice((-1, 1, 1))), 0.0), piece=_dens)


def odontoid_3(draw: FractureDraw) -> Built:
    """Through the body below the dens, rising to both upper joint surfaces."""
    cut = draw.cut(
        (0.0, -1.0, draw.uniform(2.5, 5.0)), (0.0, draw.uniform(-0.2, 0.2), 1.0), _upper_body,
        bowl=draw.uniform(0.04, 0.055),
    )  # fmt: skip
    return draw.one_piece(cut, (0.0, float(draw.rng.choice((-1, -1, 1))), 0.0), at_most=3.0)


def hangman(draw: FractureDraw) -> Built:
    """Both partes interarticulares; body and dens slip forward from the arch."""
    breaks = [
        draw.cut(
            (side * 15.5, draw.uniform(9.0, 10.5), -1.5),
            (0.0, -1.0, draw.uniform(0.25, 0.5)),
            lambda p, s=side: (s * p[0] > 9.8) & (np.abs(p[1] - 9) < 8) & (p[2] > -9.5),
        )
        for side in (-1, 1)
    ]
    if not draw.displaced:
        return Built(tuple(breaks))
    shift = draw.shift((0.0, -1.0, -0.6), breaks, at_most=3.5)
    pillars = [Fragment(shift, (k,), lambda p, s=s: s * p[0] > 9.8) for k, s in enumerate((-1, 1))]
    middle = Fragment(shift, (), lambda p: (np.abs(p[0]) <= 9.8) & (p[1] < 10))
    return Built(tuple(breaks), (*pillars, middle))


def _anterior_arch(draw: FractureDraw, side: int) -> Break:
    return draw.cut(
        (side * draw.uniform(6.0, 9.0), -15.0, 0.0), (side * 1.0, 0.4, 0.0),
        lambda p: (side * p[0] > 1) & (p[1] < -8), wide=True,
    )  # fmt: skip


def _posterior_arch(draw: FractureDraw, side: int, *, towards_mass: bool) -> Break:
    at = draw.uniform(0.0, 1.0)
    sign = 1.0 if towards_mass else -1.0
    point = (side * (19.5 - 5.0 * at), 11.0 + 7.0 * at, 0.0)
    normal = (sign * side * (0.15 + 0.55 * at), -sign, 0.0)
    return draw.cut(point, normal, lambda p: (side * p[0] > 6) & (p[1] > 4))


def _dens(p: Points) -> NDArray[np.bool_]:
    return (np.abs(p[0]) < 6.3) & (p[1] < 9.0) & (p[2] > 6)


def _upper_body(p: Points) -> NDArray[np.bool_]:
    return (np.abs(p[0]) < 17) & (p[1] < 10.0) & (p[2] > -9)
