"""The tables of the full data set, made up at its size: load, filter and join.

Run with `make bench ARGS=load_tables`. 2,019 studies with labels, 7,217 boxes of 235 studies and an
index of 711,601 slices; the answer is the slices of the volumes of labelled, fractured studies with
their labels and whether they carry a box. The peer reads the same tables with `csv.DictReader` and
joins them in loops. Both give the same count of slices, positives and boxed slices.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from core.constants import VERTEBRAE
from core.dataset.rsna import BOXES_FILE, IMAGES_FOLDER, LABELS_FILE, read_data_set
from core.dataset.slice_table import check_boxes, labelled_slices

STUDIES, SLICES, BOXES, BOXED_STUDIES = 2_019, 711_601, 7_217, 235
POSITIVES = (146, 285, 73, 108, 162, 277, 393)
"""Studies with a fracture of C1..C7 in the real set."""

LIMIT_S = 2.0
Answer = tuple[int, int, int]


def make_up(root: Path, studies: int, slices: int, boxes: int, seed: int = 0) -> None:
    """Write a data root's folders and tables, and its index beside them as Parquet and as CSV."""
    rng = np.random.default_rng(seed)
    names = [f"1.2.826.0.1.3680043.{10_000 + k}" for k in range(studies)]
    for name in names:
        (root / IMAGES_FOLDER / name).mkdir(parents=True)
    share = np.array(POSITIVES) / STUDIES
    labels = pd.DataFrame(rng.random((studies, 7)) < share, columns=list(VERTEBRAE), dtype=int)
    labels.insert(0, "patient_overall", labels.max(axis=1))
    labels.insert(0, "StudyInstanceUID", names)
    labels.to_csv(root / LABELS_FILE, index=False)
    counts = rng.multinomial(slices - 69 * studies, np.full(studies, 1 / studies)) + 69
    index = _index(names, counts)
    index.to_parquet(root / "index.parquet")
    index.to_csv(root / "index.csv", index=False)
    fractured = np.flatnonzero(labels["patient_overall"])
    boxed = rng.choice(fractured, min(BOXED_STUDIES, len(fractured)), replace=False)
    candidates = np.flatnonzero(np.isin(np.repeat(np.arange(studies), counts), boxed))
    rows = index.iloc[rng.choice(candidates, min(boxes, len(candidates)), replace=False)]
    xy, size = rng.uniform(0, 400, (len(rows), 2)), rng.uniform(5, 100, (len(rows), 2))
    pd.DataFrame(
        {
            "StudyInstanceUID": rows["study_id"], "x": xy[:, 0], "y": xy[:, 1],
            "width": size[:, 0], "height": size[:, 1], "slice_number": rows["instance_number"],
        }
    ).to_csv(root / BOXES_FILE, index=False)  # fmt: skip


def _index(names: list[str], counts: np.ndarray) -> pd.DataFrame:
    """An index of studies of `counts` slices, with the columns of the real one."""
    n = int(counts.sum())
    number = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    columns = {
        "study_id": np.repeat(names, counts),
        "file": [f"{k + 1}.dcm" for k in number],
        "series_uid": np.repeat([f"{name}.1" for name in names], counts),
        "instance_number": number + 1,
        "frame": 0,
        "slice_index": number,
        "role": np.where(number % 500 == 499, "localizer", "slice"),
        "z_mm": -0.8 * number,
        "row_mm": 0.4, "column_mm": 0.4, "thickness_mm": 0.8, "rows": 512, "cols": 512,
        "transfer_syntax": "1.2.840.10008.1.2.1",
        "bytes": 525_000, "mtime_ns": 1_600_000_000_000_000_000 + np.arange(n),
        "sha256": [f"{k:064x}" for k in range(n)],
    }  # fmt: skip
    return pd.DataFrame(columns)


def ours(root: Path) -> Answer:
    """Load, check and join through the package."""
    columns = [
        "study_id", "file", "instance_number", "frame", "slice_index", "role", "z_mm", "rows",
        "cols",
    ]  # fmt: skip
    slices = pd.read_parquet(root / "index.parquet", columns=columns)
    table = labelled_slices(check_boxes(read_data_set(root), slices), slices)
    chosen = table.loc[table["patient_overall"].fillna(value=False)]
    c7 = chosen["C7"].fillna(value=False)
    return len(chosen), int(c7.sum()), int(chosen["boxed"].sum())


def plain(root: Path) -> Answer:
    """The peer: the same in loops over `csv.DictReader`, without a check of any row."""
    with (root / LABELS_FILE).open(newline="") as stream:
        labels = {row["StudyInstanceUID"]: row for row in csv.DictReader(stream)}
    with (root / BOXES_FILE).open(newline="") as stream:
        boxed = {
            (row["StudyInstanceUID"], int(row["slice_number"])) for row in csv.DictReader(stream)
        }
    chosen = []
    with (root / "index.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            label = labels.get(row["study_id"])
            if row["role"] == "slice" and label is not None and label["patient_overall"] == "1":
                has_box = (row["study_id"], int(row["instance_number"])) in boxed
                chosen.append(row | label | {"boxed": has_box})
    return len(chosen), sum(r["C7"] == "1" for r in chosen), sum(r["boxed"] for r in chosen)


def measure(function: Callable[[Path], Answer], root: Path, repeats: int) -> tuple[float, Answer]:
    """Median seconds of `repeats` runs, and the answer."""
    seconds, answer = [], (0, 0, 0)
    for _ in range(repeats):
        start = time.perf_counter()
        answer = function(root)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), answer


def main() -> None:
    """Measure and print the figures, the last line as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--slices", type=int, default=SLICES, help="a smaller set for a try")
    slices = parser.parse_args().slices
    studies = min(STUDIES, slices // 100)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_up(root, studies, slices, BOXES)
        peer, expected = measure(plain, root, 1)
        seconds, answer = measure(ours, root, 3)
    if answer != expected:
        raise SystemExit(f"The two readers differ: {answer} against {expected}.")
    print(f"{slices:,} rows of {studies:,} studies: {seconds:.2f} s, in loops {peer:.2f} s")
    print(f"chosen {answer[0]:,} slices, {answer[1]:,} of a fractured C7, {answer[2]:,} boxed")
    name = f"tables of {slices:,} slices: load, check, filter, join"
    figure = {"name": name, "seconds": round(seconds, 3)}
    limit = {"peer": f"{LIMIT_S:g} s", "ratio": round(LIMIT_S / seconds, 2), "target": 1.0}
    loops = {"peer": "csv.DictReader and loops", "ratio": round(peer / seconds, 2)}
    print(json.dumps([figure | limit, figure | loops]))


if __name__ == "__main__":
    main()
