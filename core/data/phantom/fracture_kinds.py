"""The kinds of fracture, where each occurs, and how its planes are drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from core.data.phantom.anatomy import SIZES
from core.data.phantom.fractures import Break, Fracture, Region
from core.data.phantom.sdf import Vec3

KINDS: dict[str, tuple[tuple[str, float], ...]] = {
    "C1": (("jefferson", 0.6), ("posterior_arch", 0.4)),
    "C2": (("odontoid", 0.5), ("hangman", 0.5)),
    "C3": (("compression", 0.3), ("burst", 0.3), ("lamina", 0.2), ("facet", 0.2)),
    "C4": (("compression", 0.3), ("burst", 0.3), ("lamina", 0.2), ("facet", 0.2)),
    "C5": (("compression", 0.3), ("burst", 0.35), ("lamina", 0.15), ("facet", 0.2)),
    "C6": (("compression", 0.2), ("burst", 0.3), ("lamina", 0.2), ("facet", 0.15),
           ("spinous_process", 0.15)),
    "C7": (("compression", 0.2), ("burst", 0.2), ("lamina", 0.2), ("facet", 0.15),
           ("spinous_process", 0.25)),
}  # fmt: skip


def sample_fracture(vertebra: str, rng: np.random.Generator) -> Fracture:
    """Draw a fracture of this vertebra: its kind, site, gap and displacement."""
    names, weights = zip(*KINDS[vertebra], strict=True)
    kind = str(rng.choice(names, p=np.asarray(weights) / sum(weights)))
    return make_fracture(vertebra, kind, rng)


def make_fracture(vertebra: str, kind: str, rng: np.random.Generator) -> Fracture:
    """Draw a fracture of a given kind.

    Raises:
        ValueError: The kind does not occur at that vertebra.
    """
    if kind not in dict(KINDS[vertebra]):
        raise ValueError(f"{kind} does not occur at {vertebra}; choose one of KINDS[{vertebra!r}].")
    breaks, height_loss, wedge = _BUILDERS[kind](vertebra, rng)
    swelling = float(rng.uniform(3, 8)) if rng.uniform() < 0.7 else 0.0
    return Fracture(vertebra, kind, breaks, height_loss, wedge, swelling)


def _cut(
    rng: np.random.Generator,
    point: Vec3,
    normal: Vec3,
    region: Region,
    shift: Vec3 = (0.0, 0.0, 0.0),
    fragment: Region | None = None,
) -> Break:
    gap = float(rng.uniform(0.8, 2.4))
    phases = tuple(float(p) for p in rng.uniform(0, 2 * np.pi, 3))
    jitter = rng.normal(0, 0.08, 3)
    tilted = tuple(float(n + j) for n, j in zip(normal, jitter, strict=True))
    return Break(point, tilted, gap, shift, region, fragment or region, phases)  # type: ignore[arg-type]


Built = tuple[tuple[Break, ...], float, bool]


def _jefferson(_: str, rng: np.random.Generator) -> Built:
    spread = float(rng.uniform(0.5, 3.0))
    breaks: list[Break] = []
    for side in (-1, 1):
        if rng.uniform() < 0.25 and breaks:
            continue
        for at, front in ((rng.uniform(5, 9), True), (rng.uniform(9, 15), False)):
            breaks.append(
                _cut(
                    rng, (side * at, -16.0 if front else 21.0, 0.0),
                    (side * 1.0, 0.25 if front else -0.3, 0.0),
                    lambda p, s=side, f=front: (s * p[0] > 1) & ((p[1] < -6) if f else (p[1] > 9)),
                    (side * spread * 0.5, 0.0, 0.0),
                    lambda p, s=side, f=front: (s * p[0] > 1) & ((p[1] < 4) if f else (p[1] >= 4)),
                )
            )  # fmt: skip
    return tuple(breaks), 0.0, False


def _posterior_arch(_: str, rng: np.random.Generator) -> Built:
    sides = (-1, 1) if rng.uniform() < 0.6 else (int(rng.choice((-1, 1))),)
    breaks = [
        _cut(
            rng, (s * rng.uniform(17, 20), rng.uniform(8, 13), 0.0), (s * -0.25, 1.0, 0.0),
            lambda p, s=s: (s * p[0] > 8) & (p[1] > 3),
            (0.0, float(rng.uniform(0.0, 2.0)), 0.0),
            lambda p: p[1] > 3,
        )
        for s in sides
    ]  # fmt: skip
    return tuple(breaks), 0.0, False


def _odontoid(_: str, rng: np.random.Generator) -> Built:
    deep = rng.uniform() < 0.5
    slope = float(rng.choice((-1, 1)) * rng.uniform(0.5, 1.0))
    slip = float(rng.choice((-1, 1)) * rng.uniform(0.5, 4.0))
    point = (0.0, -1.5, float(rng.uniform(2, 6) if deep else rng.uniform(10, 13)))
    wide = 17.0 if deep else 9.0
    cut = _cut(
        rng, point, (float(rng.normal(0, 0.3)), slope, 1.0),
        lambda p: (np.abs(p[0]) < wide) & (p[1] < 9.5) & (p[2] > -9),
        (0.0, slip, float(rng.uniform(0, 1))),
        lambda p: (np.abs(p[0]) < 10) & (p[1] < 9.5) & (p[2] > -9),
    )  # fmt: skip
    return (cut,), 0.0, False


def _hangman(_: str, rng: np.random.Generator) -> Built:
    slip = float(rng.uniform(0.5, 3.5))
    at = float(rng.uniform(10, 12.5))
    breaks = [
        _cut(
            rng, (s * 15.0, at, 0.0), (0.0, -1.0, float(rng.uniform(-0.2, 0.2))),
            lambda p, s=s: (s * p[0] > 7.5) & (np.abs(p[1] - 8) < 10),
            (0.0, -slip, 0.0),
            lambda p, s=s: (p[0] > 0) if s > 0 else (p[0] <= 0),
        )
        for s in (-1, 1)
    ]  # fmt: skip
    return tuple(breaks), 0.0, False


def _compression(vertebra: str, rng: np.random.Generator) -> Built:
    size = SIZES[vertebra]
    body = _in_body(size.width, size.depth)
    breaks = [
        _cut(
            rng, (0.0, -size.depth * rng.uniform(0.05, 0.3), size.height * 0.05),
            (0.0, -0.85, 0.5), body, (0.0, -float(rng.uniform(0.5, 2.5)), -0.5),
        )
    ]  # fmt: skip
    if rng.uniform() < 0.6:
        off = float(rng.uniform(-0.3, 0.3) * size.width)
        breaks.append(_cut(rng, (off, 0.0, 0.0), (1.0, 0.3, 0.1), body))
    return tuple(breaks), float(rng.uniform(0.15, 0.4)), True


def _burst(vertebra: str, rng: np.random.Generator) -> Built:
    size = SIZES[vertebra]
    body = _in_body(size.width, size.depth)
    back = float(rng.uniform(1.0, 4.0))
    apart = float(rng.uniform(0.3, 1.2))
    off = float(rng.uniform(-0.25, 0.25) * size.width)
    breaks = (
        _cut(rng, (off, 0.0, 0.0), (1.0, float(rng.normal(0, 0.3)), 0.1), body, (apart, 0.0, 0.0)),
        _cut(
            rng, (0.0, size.depth * rng.uniform(-0.1, 0.3), 0.0), (0.15, 1.0, 0.15), body,
            (0.0, back, 0.0),
        ),
    )  # fmt: skip
    if rng.uniform() < 0.5:
        breaks += _lamina(vertebra, rng)[0][:1]
    return breaks, float(rng.uniform(0.08, 0.25)), False


def _lamina(vertebra: str, rng: np.random.Generator) -> Built:
    size = SIZES[vertebra]
    front = size.depth / 2 + 6
    sides = (-1, 1) if rng.uniform() < 0.35 else (int(rng.choice((-1, 1))),)
    breaks = [
        _cut(
            rng, (s * rng.uniform(6, 12), front + 8, 0.0), (s * -0.9, 0.45, 0.0),
            lambda p, s=s: (s * p[0] > 2.5) & (p[1] > front),
            (0.0, float(rng.uniform(-1.5, 1.5)), 0.0),
            lambda p, s=s: (s * p[0] > 0) & (p[1] > front),
        )
        for s in sides
    ]  # fmt: skip
    return tuple(breaks), 0.0, False


def _facet(vertebra: str, rng: np.random.Generator) -> Built:
    size = SIZES[vertebra]
    s = int(rng.choice((-1, 1)))
    center = (s * (size.canal_width / 2 + 6.5), size.depth / 2 + 6.5, 0.0)
    near = size.canal_width / 2 - 0.5
    cut = _cut(
        rng, center, (s * float(rng.uniform(0.2, 1.0)), 1.0, 0.3),
        lambda p: (s * p[0] > near) & (p[1] > size.depth / 2 - 2),
        (s * float(rng.uniform(0, 1.5)), float(rng.uniform(0, 2.5)), 0.0),
    )  # fmt: skip
    return (cut,), 0.0, False


def _spinous_process(vertebra: str, rng: np.random.Generator) -> Built:
    size = SIZES[vertebra]
    start = size.depth / 2 + size.canal_depth
    at = start + size.spinous * float(rng.uniform(0.25, 0.65))
    cut = _cut(
        rng, (0.0, at, -5.0), (float(rng.normal(0, 0.2)), 1.0, float(rng.uniform(0.1, 0.6))),
        lambda p: p[1] > start + 2,
        (0.0, float(rng.uniform(0, 1.5)), -float(rng.uniform(0.5, 3.5))),
    )  # fmt: skip
    return (cut,), 0.0, False


def _in_body(width: float, depth: float) -> Region:
    return lambda p: (np.abs(p[0]) < width / 2 + 4) & (p[1] < depth / 2 + 1.5)


_BUILDERS: dict[str, Callable[[str, np.random.Generator], Built]] = {
    "jefferson": _jefferson,
    "posterior_arch": _posterior_arch,
    "odontoid": _odontoid,
    "hangman": _hangman,
    "compression": _compression,
    "burst": _burst,
    "lamina": _lamina,
    "facet": _facet,
    "spinous_process": _spinous_process,
}
