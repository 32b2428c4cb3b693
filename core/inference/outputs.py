"""The three files of a prediction: slices.parquet, predictions.json, boxes.csv."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.constants import VERTEBRAE
from core.errors import PredictionsError, StorageError
from core.inference.aggregation import check_slice_predictions
from core.inference.boxes.boxes_csv import BOXES_FILE, write_boxes
from core.inference.study_scores import score_study
from core.inference.verdict import judge
from core.models.pairs import BundlePair
from core.system.atomic_files import hidden_folder, move_into_place, sync_folder, write_json
from core.system.parquet import read_parquet, write_parquet
from core.types import FileBox, SlicePredictions

SLICES_FILE: Final = "slices.parquet"
SUMMARY_FILE: Final = "predictions.json"

PRESENCE_COLUMNS: Final = [f"v_{name}" for name in VERTEBRAE]
FRACTURE_COLUMNS: Final = [f"f_{name}" for name in VERTEBRAE]
_PROBABILITIES: Final = [*PRESENCE_COLUMNS, *FRACTURE_COLUMNS]
_NUMBERS: Final = ["slice_index", "z_mm", *_PROBABILITIES, "fracture_type"]
_REQUIRED: Final = ["study_id", *_NUMBERS]
_MODEL_SEPARATOR: Final = " + "


def write_predictions(
    folder: Path,
    predictions: Sequence[SlicePredictions],
    *,
    seconds: Sequence[float],
    single: bool,
    folds: Mapping[str, int] | None = None,
    boxes: Mapping[str, Sequence[FileBox]] | None = None,
    pair: BundlePair | None = None,
) -> None:
    """Write the three files, which become visible together; other files in the folder stay.

    `slices.parquet` has one row per slice: study_id, slice_index, instance_number, z_mm, v_C1..v_C7
    and f_C1..f_C7 (float32), fold, model, fracture_type, distribution_score. `predictions.json`
    holds one object, or with `single=False` a list of objects. `boxes.csv` has one row per box,
    none if no localiser ran.

    Args:
        folder: Output folder, made if missing.
        predictions: At least one study, each study once.
        seconds: Time taken by each study.
        single: Whether `predictions.json` is one object; needs exactly one study.
        folds: Held-out fold by study_id, if the networks were trained on the other folds.
        boxes: A localiser's boxes by study_id.
        pair: The networks, whose operating points make the calls; None to write no calls.

    Raises:
        PredictionsError: There is no study, one comes twice, or its arrays are invalid.
        StorageError: A file cannot be written.
        ValueError: `seconds` has another length, or `single` with several studies.
    """
    if len(seconds) != len(predictions):
        raise ValueError(f"{len(predictions)} studies need as many times, not {len(seconds)}.")
    if single and len(predictions) != 1:
        raise ValueError(f"single=True takes one study, not {len(predictions)}.")
    _check_studies_once([study.study_id for study in predictions], folder)
    summaries = [
        study_summary(study, taken, pair) for study, taken in zip(predictions, seconds, strict=True)
    ]
    table = pd.concat([_slice_rows(study, folds or {}) for study in predictions])
    with _together(folder) as staging:
        write_parquet(staging / SLICES_FILE, table)
        write_boxes(staging, boxes or {})
        write_json(staging / SUMMARY_FILE, summaries[0] if single else summaries)


def study_summary(
    study: SlicePredictions, seconds: float, pair: BundlePair | None
) -> dict[str, Any]:
    """One study's object in `predictions.json`.

    Args:
        study: The networks' outputs.
        seconds: Time taken.
        pair: As for `write_predictions`.

    Raises:
        PredictionsError: The arrays are invalid.
    """
    scores = score_study(study)
    patient = scores.patient
    return {
        "study_id": study.study_id,
        **({} if pair is None else judge(scores, pair).to_json()),
        "patient": patient.patient_prob,
        "vertebrae": dict(zip(VERTEBRAE, patient.vertebra_probs.tolist(), strict=True)),
        "not_seen": [
            name for name, seen in zip(VERTEBRAE, patient.vertebra_seen, strict=True) if not seen
        ],
        "n_slices": study.n_slices,
        "bundles": list(study.models),
        "presence_from": next(iter(study.models), None),
        "seconds": float(seconds),
    }


def find_slices(folder: Path) -> Path | None:
    """The `slices.parquet` of a folder that holds complete predictions; None otherwise."""
    table = folder / SLICES_FILE
    return table if table.is_file() and (folder / SUMMARY_FILE).is_file() else None


def write_slices(
    file: Path, predictions: Sequence[SlicePredictions], *, folds: Mapping[str, int] | None = None
) -> None:
    """Write only the slices of some studies, compressed, with probabilities rounded to 1e-4.

    Args:
        file: Output file, replaced atomically.
        predictions: At least one study, each study once.
        folds: As for `write_predictions`.

    Raises:
        PredictionsError: There is no study, or one comes twice.
        StorageError: The file cannot be written.
    """
    _check_studies_once([study.study_id for study in predictions], file.parent)
    table = pd.concat([_slice_rows(study, folds or {}) for study in predictions])
    table[_PROBABILITIES] = table[_PROBABILITIES].round(4)
    write_parquet(file, table, compression="zstd", level=12)


def read_slices(file: Path) -> list[SlicePredictions]:
    """Read a file written by `write_slices`, or a `slices.parquet`; studies in its order.

    Raises:
        PredictionsError: The file is missing or damaged, lacks a column, or a column holds NaN,
            text, numbers out of range or slices that are not 0..n-1.
    """
    studies = [
        _study_from_rows(str(study_id), rows, file)
        for study_id, rows in _read_table(file).groupby("study_id", sort=False)
    ]
    for study in studies:
        try:
            check_slice_predictions(study)
        except PredictionsError as error:
            raise PredictionsError(f"{file}: {error}") from error
    return studies


@contextmanager
def _together(folder: Path) -> Iterator[Path]:
    """Yield a hidden folder whose files replace those of the same names in `folder` at the end.

    A new folder appears with all its files at once. An existing one may be a mount point or hold
    other files, so it is not replaced: `predictions.json` is gone while its files change, and
    `find_slices` finds no predictions.

    Raises:
        StorageError: The folder cannot be written.
    """
    is_new = not folder.exists()
    try:
        with hidden_folder(folder.parent if is_new else folder, folder.name) as staging:
            yield staging
            if not (is_new and _appears(staging, folder)):
                _replace_files(staging, folder)
    except OSError as error:
        raise StorageError(
            f"Cannot write {folder}: {error.strerror or 'the write failed'}; free some space or "
            "choose a folder you can write to."
        ) from error


def _appears(staging: Path, folder: Path) -> bool:
    """Rename the folder; False if another process has made `folder` in the meantime."""
    try:
        move_into_place(staging, folder)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


def _replace_files(staging: Path, folder: Path) -> None:
    (folder / SUMMARY_FILE).unlink(missing_ok=True)
    for name in (SLICES_FILE, BOXES_FILE, SUMMARY_FILE):
        (staging / name).replace(folder / name)
    sync_folder(folder)


def _slice_rows(study: SlicePredictions, folds: Mapping[str, int]) -> pd.DataFrame:
    n_slices = study.n_slices
    numbers = study.instance_numbers or (pd.NA,) * n_slices
    columns: dict[str, Any] = {
        "study_id": pd.array([study.study_id] * n_slices, dtype="string"),
        "slice_index": np.arange(n_slices, dtype=np.int32),
        "instance_number": pd.array(list(numbers), dtype="Int32"),
        "z_mm": study.z_mm.astype(np.float64),
    }
    for names, values in (
        (PRESENCE_COLUMNS, study.vertebra_probs),
        (FRACTURE_COLUMNS, study.fracture_probs),
    ):
        columns |= dict(zip(names, values.astype(np.float32).T, strict=True))
    fold = folds.get(study.study_id, pd.NA)
    columns["fold"] = pd.array([fold] * n_slices, dtype="Int16")
    columns["model"] = pd.array([_MODEL_SEPARATOR.join(study.models)] * n_slices, dtype="string")
    columns["fracture_type"] = np.full(n_slices, study.fracture_type, dtype=np.int8)
    score = pd.NA if study.distribution_score is None else study.distribution_score
    columns["distribution_score"] = pd.array([score] * n_slices, dtype="Float64")
    return pd.DataFrame(columns)


def _read_table(file: Path) -> pd.DataFrame:
    """Read the table and check its columns, types and gaps."""
    table = read_parquet(file, _REQUIRED, PredictionsError, "give a file that predict has written")
    if table.empty:
        raise PredictionsError(f"{file} has no row; run predict on at least one study.")
    for name in _NUMBERS:
        if not pd.api.types.is_numeric_dtype(table[name]):
            raise PredictionsError(f"{file}: column {name} is not numeric; store it as numbers.")
    for name in _REQUIRED:
        if bool(table[name].isna().any()):
            raise PredictionsError(
                f"{file}: column {name} holds NaN or an empty cell; predict that study again."
            )
    return table


def _study_from_rows(study_id: str, rows: pd.DataFrame, file: Path) -> SlicePredictions:
    rows = rows.sort_values("slice_index", kind="stable")
    if not np.array_equal(rows["slice_index"].to_numpy(), np.arange(len(rows))):
        raise PredictionsError(
            f"{file}: column slice_index of study {study_id} is not 0..{len(rows) - 1}, each once; "
            "predict that study again."
        )
    types = rows["fracture_type"].unique()
    if len(types) != 1:
        raise PredictionsError(
            f"{file}: column fracture_type of study {study_id} changes between slices; "
            "use one model type per study."
        )
    probabilities = rows[_PROBABILITIES].to_numpy(dtype=np.float32)
    split = len(PRESENCE_COLUMNS)
    return SlicePredictions(
        study_id=study_id,
        z_mm=rows["z_mm"].to_numpy(dtype=np.float64),
        vertebra_probs=np.ascontiguousarray(probabilities[:, :split]),
        fracture_probs=np.ascontiguousarray(probabilities[:, split:]),
        fracture_type=int(types[0]),
        instance_numbers=_instance_numbers(rows),
        models=_models(rows),
        distribution_score=_distribution_score(rows),
    )


def _instance_numbers(rows: pd.DataFrame) -> tuple[int, ...]:
    """Instance numbers, () if the column is missing or has gaps."""
    if "instance_number" not in rows.columns or bool(rows["instance_number"].isna().any()):
        return ()
    numbers: NDArray[np.int64] = rows["instance_number"].to_numpy(dtype=np.int64)
    return tuple(numbers.tolist())


def _distribution_score(rows: pd.DataFrame) -> float | None:
    """The study's distribution score, None if the column is missing, empty or not a number."""
    column = rows.get("distribution_score")
    if column is None or not pd.api.types.is_numeric_dtype(column) or bool(column.isna().any()):
        return None
    return float(column.iloc[0])


def _models(rows: pd.DataFrame) -> tuple[str, ...]:
    name = rows["model"].iloc[0] if "model" in rows.columns else ""
    return tuple(name.split(_MODEL_SEPARATOR)) if isinstance(name, str) and name else ()


def _check_studies_once(study_ids: list[str], folder: Path) -> None:
    if not study_ids:
        raise PredictionsError(f"There is no study to write to {folder}; predict at least one.")
    if len(set(study_ids)) < len(study_ids):
        twice = next(name for name in study_ids if study_ids.count(name) > 1)
        raise PredictionsError(f"Study {twice} comes twice; predict each study once.")
