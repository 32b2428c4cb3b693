"""Draw the fractured vertebrae of a person at the frequencies of the real set.

RSNA 2022 reports counts of fractured vertebrae, not their combinations in patients. The
distribution over the 127 non-empty sets of C1..C7 is therefore the one of largest entropy that
keeps, given a positive patient, each vertebra's share (exactly), a truncated geometric number of
fractured vertebrae whose mean follows from those shares, and a preference for neighbours. Weighted
draws without replacement would favour rare vertebrae in patients with several breaks; fitting the
sets does not.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.constants import N_VERTEBRAE, VERTEBRAE
from core.phantom.anatomy import Anatomy
from core.phantom.fracture_kinds import sample_fracture
from core.phantom.fractures import Fracture
from core.phantom.recipe import FractureMix

N_PATIENTS: Final = 2019
N_POSITIVE: Final = 961
VERTEBRA_COUNTS: Final = (146, 285, 73, 108, 162, 277, 393)
"""Studies, positive patients and fractured C1..C7 of RSNA 2022 (Lin et al. 2023)."""

PATIENT_PREVALENCE: Final = N_POSITIVE / N_PATIENTS
MAX_BROKEN: Final = 5
NEIGHBOUR_ODDS: Final = 10.0
"""Factor on the odds of a set for each pair of neighbours in it.

Chosen so that given C6 about half of the patients have a fractured C7 too, and about a third of
those with several breaks skip a level, as on 1,091 positive CTs (Emerg Radiol 2021;28:965-976).
"""

Sets = NDArray[np.bool_]


def sample_fractures(
    rng: np.random.Generator, anatomy: Anatomy, mix: FractureMix | None = None
) -> tuple[Fracture, ...]:
    """Draw a person's fractures: none in 52.4 %, else one for each vertebra of a drawn set.

    Args:
        rng: Random generator.
        anatomy: The person, whose vertebrae give the sites of fractures.
        mix: Distributions by visibility; the classic ones by default.

    Returns:
        At most one fracture per vertebra, in the order C1..C7.
    """
    if rng.uniform() >= PATIENT_PREVALENCE:
        return ()
    return tuple(
        sample_fracture(name, rng, size=anatomy.shapes[name].size, scale=anatomy.scale, mix=mix)
        for name in sample_levels(rng)
    )


def sample_levels(rng: np.random.Generator) -> tuple[str, ...]:
    """Draw the fractured vertebrae of a positive patient, at least one, from head to chest."""
    sets, probability = level_sets()
    row = sets[rng.choice(len(sets), p=probability)]
    return tuple(name for name, broken in zip(VERTEBRAE, row, strict=True) if broken)


@cache
def level_sets() -> tuple[Sets, NDArray[np.float64]]:
    """All sets of fractured vertebrae, bool (127, 7), and their probability in a positive patient.

    Iterative proportional fitting (Deming & Stephan 1940) from the neighbours' preference to the
    shares of the vertebrae and of the number of breaks; it keeps the preference's odds ratios.
    """
    codes = np.arange(1, 2**N_VERTEBRAE)
    sets = (codes[:, None] >> np.arange(N_VERTEBRAE)) % 2 == 1
    size = sets.sum(axis=1)
    pairs = (sets[:, 1:] & sets[:, :-1]).sum(axis=1)
    shares = np.asarray(VERTEBRA_COUNTS) / N_POSITIVE
    counts = count_distribution()
    p = NEIGHBOUR_ODDS ** pairs.astype(np.float64) * (size <= MAX_BROKEN)
    for _ in range(2000):
        for k, share in enumerate(counts, start=1):
            p[size == k] *= share / p[size == k].sum()
        worst = 0.0
        for j, share in enumerate(shares):
            have = float(p[sets[:, j]].sum())
            worst = max(worst, abs(have - share))
            p = np.where(sets[:, j], p * share / have, p * (1 - share) / (1 - have))
        if worst < 1e-12:
            break
    p /= p.sum()
    sets.setflags(write=False)
    p.setflags(write=False)
    return sets, p


@cache
def count_distribution() -> NDArray[np.float64]:
    """Probability of 1..MAX_BROKEN fractured vertebrae of a patient, float64 (MAX_BROKEN,).

    A geometric series, cut off, whose ratio is solved for the real set's mean of 1444 / 961.
    """
    mean = sum(VERTEBRA_COUNTS) / N_POSITIVE
    numbers = np.arange(1, MAX_BROKEN + 1)

    def series(ratio: float) -> NDArray[np.float64]:
        p = ratio ** (numbers - 1.0)
        return p / p.sum()

    low, high = 0.0, 1.0
    for _ in range(80):
        middle = (low + high) / 2
        too_few = float(series(middle) @ numbers) < mean
        low, high = (middle, high) if too_few else (low, middle)
    p = series(low)
    p.setflags(write=False)
    return p
