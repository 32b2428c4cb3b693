"""A made-up prediction set of the real set's size: 2,019 studies, 711,601 slices, four models.

Benchmarks and the browser's slider test read it. As a script it writes it to a folder:
`python -m benchmarks.inputs.full_size_scores OUT`. Nothing in it comes from a network or a patient.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.constants import VERTEBRAE

STUDIES: Final = 2_019
SLICES: Final = 711_601
POSITIVES: Final = (146, 285, 73, 108, 162, 277, 393)
"""Studies with a fracture of C1..C7 in the real set."""
FRACTURED: Final = 961
"""Studies with any fracture in the real set."""
MODELS: Final = (
    ("vertebra_type2_made + fracture_type1_made", 1, 1.4),
    ("vertebra_type2_made + fracture_type2_made", 2, 1.7),
    ("fracture_type3_made", 3, 1.8),
    ("fracture_type3_wide_made", 3, 1.6),
)
"""Name, fracture type, and by how many standard deviations positives score higher."""
TRUTH: Final = "cohort.parquet"
TRUTH_SLICES: Final = "cohort_slices.parquet"


@dataclass(frozen=True, slots=True, eq=False)
class MadeCohort:
    """Truth of a made-up cohort.

    Attributes:
        study_ids: (n,), study ids.
        lengths: (n,), slices of each study.
        fractured: bool (n, 7).
        presence: bool (N, 7), neighbouring vertebrae overlap a little.
    """

    study_ids: list[str]
    lengths: NDArray[np.int64]
    fractured: NDArray[np.bool_]
    presence: NDArray[np.bool_]

    @property
    def patients(self) -> NDArray[np.int64]:
        """Place of the study of each slice, (N,)."""
        return np.repeat(np.arange(len(self.study_ids)), self.lengths)

    @property
    def index(self) -> NDArray[np.int32]:
        """Index of each slice in its study, (N,)."""
        starts = np.cumsum(self.lengths) - self.lengths
        return (np.arange(len(self.presence)) - np.repeat(starts, self.lengths)).astype(np.int32)


def make_cohort(studies: int = STUDIES, slices: int = SLICES, seed: int = 0) -> MadeCohort:
    """Labels at the real set's rates, at least 69 slices per study, C1 to C7 from head to feet."""
    rng = np.random.default_rng(seed)
    names = [f"1.2.826.0.1.3680043.{10_000 + k}" for k in range(studies)]
    extra = slices - 69 * studies
    lengths = rng.multinomial(extra, rng.dirichlet(np.full(studies, 8.0))) + 69
    fractured = np.zeros((studies, 7), np.bool_)
    with_fracture = rng.permutation(studies)[: round(FRACTURED / STUDIES * studies)]
    share = np.array(POSITIVES) / FRACTURED
    fractured[with_fracture] = rng.random((len(with_fracture), 7)) < share
    empty = with_fracture[~fractured[with_fracture].any(axis=1)]
    fractured[empty, rng.choice(7, len(empty), p=share / share.sum())] = True
    patients = np.repeat(np.arange(studies), lengths)
    starts = np.cumsum(lengths) - lengths
    height = (np.arange(slices) - starts[patients]) / lengths[patients]
    top = rng.uniform(0.1, 0.25, studies)[patients]
    pitch = rng.uniform(0.07, 0.1, studies)[patients]
    place = (height - top) / pitch
    presence = np.stack([(place > j - 0.1) & (place < j + 1.1) for j in range(7)], axis=1)
    return MadeCohort(names, lengths, fractured, presence)


def model_table(
    cohort: MadeCohort, name: str, fracture_type: int, separation: float, seed: int
) -> pd.DataFrame:
    """Slice outputs in the schema of `slices.parquet`; patients differ in noise."""
    rng = np.random.default_rng(seed)
    n = len(cohort.presence)
    own = rng.normal(0, 0.8, (len(cohort.study_ids), 7))[cohort.patients]
    truth = cohort.presence & cohort.fractured[cohort.patients]
    columns = 1 if fracture_type == 1 else 7
    if columns == 1:
        truth, own = truth.any(axis=1, keepdims=True), own[:, :1]
    signal = separation * truth + own + rng.normal(0, 1.0, (n, columns))
    f = _logistic(1.5 * signal - 4.0)
    v = _logistic(6.0 * cohort.presence + rng.normal(0, 1.2, (n, 7)) - 3.0)
    table = {
        "study_id": pd.Categorical.from_codes(cohort.patients, cohort.study_ids),
        "slice_index": cohort.index,
        "z_mm": -0.8 * cohort.index,
        **{f"v_{vertebra}": v[:, j] for j, vertebra in enumerate(VERTEBRAE)},
        **{f"f_{vertebra}": f[:, min(j, columns - 1)] for j, vertebra in enumerate(VERTEBRAE)},
        "fold": (cohort.patients % 5).astype(np.int16),
        "model": pd.Categorical([name]).repeat(n),
        "fracture_type": np.full(n, fracture_type, np.int8),
    }
    return pd.DataFrame(table)


def write_full_size(
    out: Path, *, models: int = len(MODELS), studies: int = STUDIES, slices: int = SLICES
) -> list[Path]:
    """Write truth and models.

    Args:
        out: Receives `cohort.parquet`, `cohort_slices.parquet` and one Parquet file per model.
        models: How many of `MODELS`.
        studies: Number of studies.
        slices: Number of slices in all, at least 69 per study.

    Returns:
        The models' files.
    """
    out.mkdir(parents=True, exist_ok=True)
    cohort = make_cohort(studies, slices)
    labels = pd.DataFrame({"study_id": cohort.study_ids})
    for j, vertebra in enumerate(VERTEBRAE):
        labels[f"y_{vertebra}"] = cohort.fractured[:, j].astype(np.int8)
    labels["patient_overall"] = cohort.fractured.any(axis=1).astype(np.int8)
    labels.to_parquet(out / TRUTH, index=False)
    shown = {
        "study_id": pd.Categorical.from_codes(cohort.patients, cohort.study_ids),
        "slice_index": cohort.index,
        **{f"present_{name}": cohort.presence[:, j] for j, name in enumerate(VERTEBRAE)},
        "boxed": (cohort.presence & cohort.fractured[cohort.patients]).any(axis=1),
    }
    pd.DataFrame(shown).to_parquet(out / TRUTH_SLICES, index=False)
    files = []
    for seed, (name, fracture_type, separation) in enumerate(MODELS[:models], start=1):
        files.append(out / f"{name.replace(' + ', '__')}.parquet")
        table = model_table(cohort, name, fracture_type, separation, seed)
        table.to_parquet(files[-1], index=False)
    return files


def _logistic(logits: NDArray[np.float64]) -> NDArray[np.float32]:
    return (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)


def main() -> None:
    """Write the set and name its files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--models", type=int, default=len(MODELS))
    arguments = parser.parse_args()
    for file in write_full_size(arguments.out, models=arguments.models):
        print(file)


if __name__ == "__main__":
    main()
