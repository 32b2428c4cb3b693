"""Cohorts of synthetic studies: many at once, resumable, with RSNA's three tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from joblib import Parallel, delayed

from core import atomic
from core.constants import SYNTHETIC_WARNING, VERTEBRAE
from core.data.phantom.study import make_study
from core.data.phantom.writer import derived_uid, write_study
from core.errors import ConfigError, DataRootError

GENERATOR_VERSION = 1
"""Rises when the same seed gives other voxels than before."""

MANIFEST = "phantom.json"


def write_cohort(
    out: Path,
    *,
    studies: int,
    seed: int,
    jobs: int | None = None,
    matrix: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Make `studies` synthetic studies below `out` in RSNA's layout; finished ones are kept.

    Args:
        out: Data root to fill.
        studies: How many, >= 1.
        seed: Cohort seed; the same seed gives the same bytes of pixels.
        jobs: Processes; None means one a core.
        matrix: Rows and columns of a slice.
        progress: Called with (done, total).

    Returns:
        The StudyInstanceUIDs, sorted.

    Raises:
        ConfigError: `studies`, `seed` or `matrix` is out of range.
        DataRootError: `out` holds other data.
        StorageError: `out` cannot be written.
    """
    if studies < 1 or seed < 0 or not 64 <= matrix <= 1024:
        raise ConfigError(
            f"A cohort needs studies >= 1, seed >= 0 and a matrix of 64 to 1024, but got "
            f"{studies}, {seed} and {matrix}; mend that value."
        )
    settings = {"seed": seed, "matrix": matrix, "generator_version": GENERATOR_VERSION}
    _check_free(out, settings)
    atomic.write_json(out / MANIFEST, {"synthetic": True, "warning": SYNTHETIC_WARNING, **settings})
    uids = [str(derived_uid("phantom", GENERATOR_VERSION, seed, matrix, k)) for k in range(studies)]
    todo = [k for k, uid in enumerate(uids) if not _truth_file(out, uid).exists()]
    done = studies - len(todo)
    if progress:
        progress(done, studies)
    work = Parallel(n_jobs=jobs or -1, return_as="generator_unordered")(
        delayed(_make_one)(out, seed, k, matrix, uids[k]) for k in todo
    )
    for _ in work:
        done += 1
        if progress:
            progress(done, studies)
    _write_tables(out, uids)
    return sorted(uids)


def _make_one(out: Path, seed: int, index: int, matrix: int, uid: str) -> None:
    write_study(make_study(seed, index, matrix=matrix), out, uid)


def _truth_file(out: Path, uid: str) -> Path:
    return out / "phantom_truth" / f"{uid}.json"


def _check_free(out: Path, settings: dict[str, Any]) -> None:
    manifest = out / MANIFEST
    if manifest.exists():
        found = json.loads(manifest.read_text())
        if {k: found.get(k) for k in settings} != settings:
            raise DataRootError(
                f"{out} holds a synthetic cohort of another seed, matrix or generator; "
                "choose another folder or remove it."
            )
    elif out.exists() and any(out.iterdir()):
        raise DataRootError(
            f"{out} holds files that this generator did not write; choose an empty folder."
        )


def _write_tables(out: Path, uids: list[str]) -> None:
    labels: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for uid in sorted(uids):
        truth = json.loads(_truth_file(out, uid).read_text())
        row = dict(zip(VERTEBRAE, truth["labels"], strict=True))
        labels.append({"StudyInstanceUID": uid, "patient_overall": max(truth["labels"]), **row})
        for number, x0, y0, x1, y1 in truth["boxes"]:
            box = {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}
            boxes.append({"StudyInstanceUID": uid, **box, "slice_number": number})
    columns = ["StudyInstanceUID", "x", "y", "width", "height", "slice_number"]
    atomic.write_text(out / "train.csv", pd.DataFrame(labels).to_csv(index=False))
    frame = pd.DataFrame(boxes, columns=columns)
    atomic.write_text(out / "train_bounding_boxes.csv", frame.to_csv(index=False))
