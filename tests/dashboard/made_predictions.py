"""Bundles with predictions of made-up studies, as the shipped ones carry them; no network ran."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmarks.inputs.full_size_scores import (
    MODELS,
    TRUTH,
    TRUTH_SLICES,
    write_full_size,
)

NAMES = ("fracture_type1_made", "fracture_type2_made", "fracture_type3_made", "fracture_wide_made")
SHIPPED_POINT = {"threshold": 0.42, "rule": "highest F1"}


def write_predictions_place(
    checkpoints: Path, *, studies: int = 40, slices: int = 4_000, models: int = 2,
    training: bool = True,
) -> list[Path]:  # fmt: skip
    """Write cohorts with truth, and bundles whose predictions lie beside their weights.

    Args:
        checkpoints: Folder of bundles.
        studies: Of either cohort.
        slices: Of either cohort.
        models: How many bundles.
        training: Whether there is a training cohort to choose thresholds on.

    Returns:
        The bundles' folders.
    """
    folders = [_write_bundle(checkpoints / name, name) for name in NAMES[:models]]
    cohorts = {"held_out": ("held_out", studies, slices)}
    if training:
        cohorts["training"] = ("out_of_fold", studies + 20, slices + 2_000)
    for cohort, (file, n, n_slices) in cohorts.items():
        with tempfile.TemporaryDirectory() as scratch:
            tables = write_full_size(Path(scratch), models=models, studies=n, slices=n_slices)
            target = checkpoints / "cohorts"
            target.mkdir(parents=True, exist_ok=True)
            _copy(Path(scratch) / TRUTH, target / f"{cohort}.parquet")
            _copy(Path(scratch) / TRUTH_SLICES, target / f"{cohort}_slices.parquet")
            for folder, table in zip(folders, tables, strict=True):
                (folder / "predictions").mkdir(exist_ok=True)
                _copy(table, folder / "predictions" / f"{file}.parquet")
    return folders


def _copy(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())


def _write_bundle(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True)
    fracture_type = dict(zip(NAMES, (kind for _, kind, _ in MODELS), strict=True))[name]
    config = {
        "name": name, "task": "fracture", "type": fracture_type, "backbone": "mobilenet_v3_large",
        "size": 32, "crop": 1.0, "window_center": 400, "window_width": 1800,
        "weights_sha256": "0" * 64, "parameters": 1, "trained_on": {"synthetic": True},
        "created": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(b"")
    (folder / "operating_points.json").write_text(json.dumps({"patient": SHIPPED_POINT}))
    return folder
