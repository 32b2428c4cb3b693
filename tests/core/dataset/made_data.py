"""An index made up at any size, without a file behind it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from core.constants import VERTEBRAE
from core.dataset.index import DataIndex
from core.dataset.quality import FLAG_COLUMNS
from core.dataset.tables import LABEL_COLUMNS

POSITIVES = (146, 285, 73, 108, 162, 277, 393)
"""Studies of 2,019 with a fracture of C1..C7 in RSNA's set."""


def made_index(studies: int, slices: int, seed: int = 0) -> DataIndex:
    """Make up an index with RSNA's shares of fractures, flags and unlabelled studies."""
    rng = np.random.default_rng(seed)
    ids = [f"1.2.826.0.1.3680043.{10_000 + k}" for k in range(studies)]
    counts = rng.multinomial(slices - 9 * studies, np.full(studies, 1 / studies)) + 9
    labels = rng.random((studies, 7)) < np.array(POSITIVES) / 2_019
    known = rng.random(studies) < 0.95
    table = pd.DataFrame({"study_id": ids, "n_files": counts, "n_slices": counts})
    table = table.assign(
        rows=512, cols=512, row_mm=rng.uniform(0.2, 0.6, studies).round(3),
        z_spacing_mm=rng.uniform(0.31, 2.63, studies).round(2), z_min_step_mm=0.3,
        z_max_step_mm=2.7, thickness_mm=1.0, coverage_mm=200.0, kernel="B60f",
        labelled=known,
    )  # fmt: skip
    values = {"patient_overall": labels.any(axis=1)} | dict(zip(VERTEBRAE, labels.T, strict=True))
    for name in LABEL_COLUMNS:
        table[name] = pd.arrays.BooleanArray(values[name], ~known)
    table["n_boxes"] = 0
    table["has_mask"] = rng.random(studies) < 0.05
    table["error"] = np.array([None] * studies, dtype=object)
    for flag in FLAG_COLUMNS:
        table[flag] = rng.random(studies) < 0.3
    of_study = np.repeat(np.arange(studies), counts)
    rows = pd.DataFrame({"study_id": np.array(ids, dtype=object)[of_study]})
    rows["slice_index"] = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows["row_mm"] = table["row_mm"].to_numpy()[of_study]
    rows["bytes"] = rng.integers(100_000, 600_000, len(rows))
    return DataIndex(rows, table, Path("made"))


def made_boxes(index: DataIndex, boxes: int, seed: int = 0) -> pd.DataFrame:
    """Make up boxes as `DataSet.boxes` has them, and count them in the index."""
    rng = np.random.default_rng(seed)
    ids = index.studies["study_id"].to_numpy()
    ids = rng.choice(ids, max(1, len(ids) // 8), replace=False)
    xy, size = rng.uniform(0, 400, (boxes, 2)), rng.uniform(5, 100, (boxes, 2))
    table = pd.DataFrame({"study_id": rng.choice(ids, boxes), "line": np.arange(boxes) + 2})
    table = table.assign(
        slice_number=rng.integers(1, 300, boxes), left=xy[:, 0], top=xy[:, 1],
        right=xy[:, 0] + size[:, 0], bottom=xy[:, 1] + size[:, 1],
    )  # fmt: skip
    counts = table["study_id"].value_counts()
    index.studies["n_boxes"] = index.studies["study_id"].map(counts).fillna(0).astype(int)
    return table
