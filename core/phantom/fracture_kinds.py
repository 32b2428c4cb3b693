"""The kinds of fracture and how often each occurs at each vertebra.

Atlas: single arches before bursts (Landells & Van Peteghem 1988, Spine 13:450-452; 16 to 13). Axis:
dens type II before III before I, then hangman's (Greene et al. 1997, Spine 22:1843-1852, 340 axis
fractures). C3-C7: on 1,091 positive CTs fractures of processes outnumber those of bodies, the more
so the lower the vertebra, and a transverse process is the commonest alone (Emerg Radiol
2021;28:965-976); spinous processes break at C6 and C7 mostly (Cancelmo 1972, Am J Roentgenol
115:540-543), bursts and teardrops at C5 (Vaccaro et al. 2016, Eur Spine J 25:2173-2184). The shares
follow these orders; no source gives these exact shares.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from core.phantom import fractures_body, fractures_posterior, fractures_upper
from core.phantom.fracture_draw import Built, FractureDraw
from core.phantom.fractures import Fracture
from core.phantom.recipe import FractureMix, Stratum
from core.phantom.sizes import SIZES, VertebraSize

KINDS: Final[dict[str, tuple[tuple[str, float], ...]]] = {
    "C1": (("posterior_arch", 0.55), ("jefferson", 0.45)),
    "C2": (("odontoid_2", 0.38), ("odontoid_3", 0.24), ("hangman", 0.22), ("teardrop", 0.08),
           ("lamina", 0.06), ("odontoid_1", 0.02)),
    "C3": (("compression", 0.17), ("burst", 0.07), ("teardrop", 0.17), ("lamina", 0.15),
           ("facet", 0.20), ("transverse_process", 0.19), ("spinous_process", 0.05)),
    "C4": (("compression", 0.17), ("burst", 0.10), ("teardrop", 0.13), ("lamina", 0.15),
           ("facet", 0.20), ("transverse_process", 0.19), ("spinous_process", 0.06)),
    "C5": (("compression", 0.15), ("burst", 0.13), ("teardrop", 0.11), ("lamina", 0.15),
           ("facet", 0.20), ("transverse_process", 0.19), ("spinous_process", 0.07)),
    "C6": (("compression", 0.13), ("burst", 0.09), ("teardrop", 0.06), ("lamina", 0.15),
           ("facet", 0.22), ("transverse_process", 0.20), ("spinous_process", 0.15)),
    "C7": (("compression", 0.12), ("burst", 0.06), ("teardrop", 0.02), ("lamina", 0.12),
           ("facet", 0.16), ("transverse_process", 0.31), ("spinous_process", 0.21)),
}  # fmt: skip
"""(kind, share) by vertebra; the shares of a vertebra sum to 1."""

ANTERIOR: Final = frozenset(
    {"jefferson", "odontoid_1", "odontoid_2", "odontoid_3", "hangman", "compression", "burst",
     "teardrop"}
)  # fmt: skip
"""Kinds that bleed in front of the spine."""

DISLOCATED: Final = frozenset({"facet", "burst", "teardrop", "lamina"})
"""Kinds with which the vertebra above may slip."""

NON_DISPLACED: Final = 0.5
SWELLING: Final = {True: 0.6, False: 0.12}
"""Probability of prevertebral swelling by whether the kind is anterior."""


def sample_fracture(
    vertebra: str,
    rng: np.random.Generator,
    *,
    size: VertebraSize | None = None,
    scale: float = 1.0,
    mix: FractureMix | None = None,
) -> Fracture:
    """Draw a fracture of this vertebra: its kind, site, gap and displacement.

    Args:
        vertebra: C1..C7.
        rng: Random generator.
        size: The person's vertebra; an average one by default.
        scale: Size of the person relative to the vertebra's frame.
        mix: Distributions by visibility; the classic ones by default.
    """
    names, shares = zip(*KINDS[vertebra], strict=True)
    kind = str(rng.choice(names, p=np.asarray(shares) / sum(shares)))
    if mix is None:
        return make_fracture(vertebra, kind, rng, size=size, scale=scale)
    return mixed_fracture(vertebra, kind, rng, mix, size=size, scale=scale)


def make_fracture(
    vertebra: str,
    kind: str,
    rng: np.random.Generator,
    *,
    displaced: bool | None = None,
    size: VertebraSize | None = None,
    scale: float = 1.0,
) -> Fracture:
    """Draw a fracture of a given kind.

    Args:
        vertebra: C1..C7.
        kind: One of `KINDS[vertebra]`.
        rng: Random generator.
        displaced: Whether a fragment moves; drawn with equal odds by default.
        size: The person's vertebra; an average one by default.
        scale: Size of the person relative to the vertebra's frame.

    Raises:
        ValueError: The kind does not occur at that vertebra.
    """
    if kind not in dict(KINDS[vertebra]):
        raise ValueError(f"{kind} does not occur at {vertebra}; choose one of KINDS[{vertebra!r}].")
    moved = bool(rng.uniform() >= NON_DISPLACED) if displaced is None else displaced
    built = _BUILDERS[kind](FractureDraw(rng, moved, size or SIZES[vertebra], scale))
    swollen = bool(rng.uniform() < SWELLING[kind in ANTERIOR])
    swelling = float(rng.uniform(2, 5 + 3 * moved)) if swollen else 0.0
    return Fracture(vertebra, kind, built.breaks, built.fragments, built.collapse, swelling, scale)


def mixed_fracture(
    vertebra: str,
    kind: str,
    rng: np.random.Generator,
    mix: FractureMix,
    *,
    size: VertebraSize | None = None,
    scale: float = 1.0,
    stratum: Stratum | None = None,
) -> Fracture:
    """Draw a fracture of a given kind whose visibility follows a mix of strata.

    Args:
        vertebra: C1..C7.
        kind: One of `KINDS[vertebra]`.
        rng: Random generator.
        mix: The strata, loss of height, dislocation and swelling.
        size: The person's vertebra; an average one by default.
        scale: Size of the person relative to the vertebra's frame.
        stratum: One of the strata; drawn by their shares by default.
    """
    if stratum is None:
        shares = np.array([s.share for s in mix.strata])
        stratum = mix.strata[int(rng.choice(len(shares), p=shares / shares.sum()))]
    moved = bool(rng.uniform() < stratum.displaced)
    draw = FractureDraw(rng, moved, size or SIZES[vertebra], scale, stratum, mix.loss_share)
    built = _BUILDERS[kind](draw)
    swollen = bool(rng.uniform() < SWELLING[kind in ANTERIOR] * (1.0 if moved else 0.5))
    swelling = mix.swelling_mm.draw(rng) if swollen else 0.0
    slips = moved and kind in DISLOCATED and bool(rng.uniform() < mix.dislocation)
    return Fracture(
        vertebra,
        kind,
        built.breaks,
        built.fragments,
        built.collapse,
        swelling,
        scale,
        slip_mm=mix.dislocation_mm.draw(rng) if slips else 0.0,
        cnr=stratum.cnr.draw(rng) if stratum.cnr else None,
    )


_BUILDERS: dict[str, Callable[[FractureDraw], Built]] = {
    build.__name__: build
    for build in (
        fractures_upper.jefferson, fractures_upper.posterior_arch, fractures_upper.odontoid_1,
        fractures_upper.odontoid_2, fractures_upper.odontoid_3, fractures_upper.hangman,
        fractures_body.compression, fractures_body.burst, fractures_body.teardrop,
        fractures_posterior.lamina, fractures_posterior.facet,
        fractures_posterior.transverse_process, fractures_posterior.spinous_process,
    )
}  # fmt: skip
