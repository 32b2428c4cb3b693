"""Make and write a synthetic study of 100 slices of 256 x 256, against four seconds on one core.

There is no peer to measure against: nothing else makes such studies. The claim is a time, counted
as the processor's, so that other work on the machine does not change it much. Studies are drawn as
in a cohort, and the time is scaled to 100 slices.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from core.phantom.study import make_study
from core.phantom.writer import write_study
from core.system.uids import derived_uid

LIMIT_S = 4.0
COHORT_STUDIES, COHORT_LIMIT_S, COHORT_CORES = 400, 1200.0, 2


SLOWER_LIMIT = 1.5
"""How much longer a study of the varied recipe may take than a classic one."""


def seconds(
    studies: int, seed: int, *, rsna_like: bool = False, recipe: str = "classic"
) -> tuple[float, float, int]:
    """Processor seconds to make and to write so many studies, and their slices."""
    made = written = 0.0
    slices = 0
    with tempfile.TemporaryDirectory() as folder:
        for index in range(studies):
            start = time.process_time()
            study = make_study(seed, index, rsna_like=rsna_like, recipe=recipe)
            middle = time.process_time()
            write_study(study, Path(folder), str(derived_uid("benchmark", index)))
            made += middle - start
            written += time.process_time() - middle
            slices += study.grid.n_slices
    return made, written, slices


def main() -> None:
    """Measure and print the figures, a JSON line last."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=10)
    studies = parser.parse_args().studies
    seconds(1, 0)
    figures: list[dict[str, object]] = []
    plain = 0.0
    for rsna_like in (False, True):
        kind = "RSNA-like" if rsna_like else "clean"
        made, written, slices = seconds(studies, 11, rsna_like=rsna_like)
        total = made + written
        hundred, one = 100 * total / slices, total / studies
        cohort = COHORT_STUDIES * one / COHORT_CORES
        print(
            f"{kind}: {studies} studies, {slices} slices: {one:.2f} s per study "
            f"({made / studies:.2f} s made, {written / studies:.2f} s written), "
            f"{hundred:.2f} s per 100 slices; {COHORT_STUDIES} studies on {COHORT_CORES} cores: "
            f"{cohort / 60:.1f} min"
        )
        figures.append(
            {
                "name": f"a 100-slice 256 x 256 study, {kind}",
                "peer": f"{LIMIT_S:g} s on one core",
                "ratio": round(LIMIT_S / hundred, 2),
                "target": 1.0,
                "seconds": round(hundred, 2),
            }
        )
        if not rsna_like:
            plain = one
            figures.append(
                {
                    "name": f"{COHORT_STUDIES} studies on {COHORT_CORES} cores, projected",
                    "peer": f"{COHORT_LIMIT_S / 60:g} minutes",
                    "ratio": round(COHORT_LIMIT_S / cohort, 2),
                    "target": 1.0,
                }
            )
    made, written, slices = seconds(studies, 11, recipe="varied")
    one = (made + written) / studies
    print(f"varied: {studies} studies, {slices} slices: {one:.2f} s per study")
    figures.append(
        {
            "name": "a study of the varied recipe",
            "peer": "a classic study",
            "ratio": round(plain / one, 2),
            "target": round(1 / SLOWER_LIMIT, 2),
            "seconds": round(one, 2),
        }
    )
    print(json.dumps(figures))


if __name__ == "__main__":
    # One core is the claim; array libraries would take all of them.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
