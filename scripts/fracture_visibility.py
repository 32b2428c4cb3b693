"""How well fractures show: the mix of strata of a recipe, and boxed slices that show nothing.

Run with `python -m scripts.fracture_visibility --studies 200`. The classic recipe does not measure
visibility; its fractures are measured here on the same scans, without changing them.
"""

from __future__ import annotations

import argparse
import copy
from collections import Counter
from dataclasses import replace

import numpy as np

from core.phantom.anatomy import sample_anatomy
from core.phantom.prevalence import sample_fractures
from core.phantom.protocol import plain_grid
from core.phantom.recipe import CLASSIC, VARIED
from core.phantom.scanner import sample_scanner
from core.phantom.study import PhantomStudy, make_study, render_study


def classic_pair(seed: int, index: int) -> tuple[PhantomStudy, PhantomStudy] | None:
    """A fractured classic study as it is and with its visibility measured; None if healthy."""
    rng = np.random.default_rng([seed, index])
    anatomy = sample_anatomy(rng)
    fractures = sample_fractures(rng, anatomy)
    if not fractures:
        return None
    grid, scanner = plain_grid(anatomy, rng, 256), sample_scanner(rng)
    measured = replace(CLASSIC, fractures=VARIED.fractures)
    plain, seen = (
        render_study(
            anatomy, fractures, copy.deepcopy(rng), grid=grid, scanner=scanner, recipe=recipe
        )
        for recipe in (CLASSIC, measured)
    )
    return plain, seen


def main() -> None:
    """Print the shares of both recipes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=60)
    parser.add_argument("--seed", type=int, default=53)
    options = parser.parse_args()
    boxed = empty = 0
    strata: dict[str, Counter[str]] = {"classic": Counter(), "varied": Counter()}
    lost = drawn = 0
    for index in range(options.studies):
        pair = classic_pair(options.seed, index)
        if pair is not None:
            plain, seen = pair
            slices = [i for i, _ in plain.boxes()]
            boxed += len(slices)
            empty += sum(not seen.clefts[i].any() for i in slices)
            strata["classic"].update(v.stratum for v in seen.visibility)
            drawn += len(plain.fractures)
            lost += len(plain.fractures) - len(seen.visibility)
        study = make_study(options.seed, index, recipe="varied")
        strata["varied"].update(v.stratum for v in study.visibility)
    print(
        f"classic: {empty} of {boxed} boxed slices ({100 * empty / max(boxed, 1):.0f} %) have no "
        f"voxel whose fracture changes it by the noise; {lost} of {drawn} fractures show nowhere"
    )
    for name, counts in strata.items():
        total = max(sum(counts.values()), 1)
        shares = ", ".join(f"{s} {100 * n / total:.0f} %" for s, n in counts.most_common())
        print(f"{name}: {sum(counts.values())} fractures that show: {shares}")


if __name__ == "__main__":
    main()
