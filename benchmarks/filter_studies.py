"""A filter of the Dataset page at the full set's size: 2,019 studies, 711,601 slices, 7,217 boxes.

Run with `make bench ARGS=filter_studies`. For every filter of the page the studies are selected and
all figures of its charts computed. The peer, pandas, joins the index's slices to the studies and
groups them by study for each filter, as the figures would be made from the two files without
`study_table`. Both give the same studies, slices, bytes and positives of C1 to C7.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pandas as pd

from core.constants import VERTEBRAE
from core.dataset.index import DataIndex
from core.dataset.quality import FLAGS
from core.dataset.statistics import distribution_edges, summarise_studies
from core.dataset.study_table import StudyFilter, select, study_table
from tests.core.dataset.made_data import made_boxes, made_index

STUDIES, SLICES, BOXES = 2_019, 711_601, 7_217
LIMIT_MS = 300.0
Answer = tuple[int, ...]

FILTERS: tuple[tuple[str, StudyFilter, str], ...] = (
    ("all", StudyFilter(), "n_files >= 0"),
    ("fractured", StudyFilter(fractured=True), "patient_overall == True"),
    ("C2 and C7", StudyFilter(vertebrae=("C2", "C7")), "C2 == True and C7 == True"),
    ("slices", StudyFilter(n_slices=(300.0, 350.0)), "300 <= n_slices < 350"),
    ("spacing", StudyFilter(spacing_mm=(0.5, 1.0)), "0.5 <= z_spacing_mm < 1.0"),
    ("boxes", StudyFilter(n_boxes=(20.0, 30.0)), "20 <= n_boxes < 30"),
    *((flag.title, StudyFilter(flags=(flag.column,)), flag.column) for flag in FLAGS),
)


def by_pandas(index: DataIndex, query: str) -> Answer:
    """Join the slices to the chosen studies, group them by study and count."""
    joined = index.slices.merge(index.studies.query(query, engine="python"), on="study_id")
    studies = joined.groupby("study_id").agg(
        {"bytes": ["size", "sum"]} | dict.fromkeys(VERTEBRAE, "first")
    )
    positive = [int(studies[name].fillna(False).sum().iloc[0]) for name in VERTEBRAE]
    size = cast(Any, studies["bytes"])
    return (len(studies), int(size["size"].sum()), int(size["sum"].sum()), *positive)


def main() -> None:
    """Measure, check that both agree, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    index = made_index(STUDIES, SLICES)
    boxes = made_boxes(index, BOXES)
    started = time.perf_counter()
    table = study_table(index, boxes)
    edges = distribution_edges(table)
    once = time.perf_counter() - started

    def ours(wanted: StudyFilter) -> Answer:
        found = summarise_studies(table, select(table, wanted), edges)
        return (found.studies, found.slices, found.bytes, *found.vertebrae.tolist())

    rows: list[tuple[str, float, float]] = []
    for name, wanted, query in FILTERS:
        fast, answer = _timed(lambda wanted=wanted: ours(wanted), repeats)
        slow, expected = _timed(lambda query=query: by_pandas(index, query), 1)
        if answer != expected:
            raise SystemExit(f"{name}: {answer} against {expected} by pandas")
        rows.append((name, fast, slow))
    shown = pd.DataFrame(rows, columns=["filter", "ms", "pandas ms"])
    print(shown.to_string(index=False, float_format="{:.2f}".format))
    slowest = float(cast(Any, shown["ms"].max()))
    print(f"table of studies, once: {1000 * once:.0f} ms; slowest filter {slowest:.2f} ms")
    if slowest > LIMIT_MS:
        raise SystemExit(f"A filter took {slowest:.0f} ms, above {LIMIT_MS:.0f} ms.")
    ratio = float(np.median(shown["pandas ms"] / shown["ms"]))
    print(json.dumps({"name": "filter 2,019 studies / 711,601 slices and count all figures",
                      "peer": "pandas merge + groupby", "ratio": round(ratio, 1)}))  # fmt: skip


def _timed(call: Callable[[], Answer], repeats: int) -> tuple[float, Answer]:
    """Median time in ms and the answer."""
    times: list[float] = []
    answer: Answer = ()
    for _ in range(repeats):
        started = time.perf_counter()
        answer = call()
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times), answer


if __name__ == "__main__":
    main()
