"""Make one study of a synthetic cohort again from the cohort's seed, on demand."""

from __future__ import annotations

import contextlib
import json
import shutil
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from core.errors import DataRootError, StorageError
from core.phantom.cohort import cohort_uids
from core.phantom.recipe import DEFAULT_RECIPE
from core.phantom.study import make_study
from core.phantom.writer import write_study
from core.types import StudyRecord


@dataclass(frozen=True, slots=True)
class CohortSeed:
    """Parameters that determine a cohort.

    Attributes:
        seed: Cohort seed.
        studies: Number of studies.
        matrix: Rows and columns of a slice.
        rsna_like: Whether it has the real set's quirks.
        recipe: Name of its distributions.
    """

    seed: int
    studies: int
    matrix: int = 256
    rsna_like: bool = False
    recipe: str = DEFAULT_RECIPE


def find_cohort_seed(study_id: str, cohorts: Iterable[CohortSeed]) -> tuple[CohortSeed, int] | None:
    """Find the cohort of a study and its number there; None if it is in none."""
    for cohort in cohorts:
        number = cohort_numbers(cohort).get(study_id)
        if number is not None:
            return cohort, number
    return None


def materialise_study(study_id: str, cohorts: Iterable[CohortSeed], out: Path) -> Path:
    """Make one study below `out` in RSNA's layout, the same voxels as in its cohort.

    An existing study is not made again. Of two callers at once each makes a copy, and the first
    one to finish is kept.

    Args:
        study_id: StudyInstanceUID.
        cohorts: Cohorts to search.
        out: Folder of studies made on demand.

    Returns:
        The folder that holds the DICOM files.

    Raises:
        DataRootError: The study belongs to none of the cohorts.
        StorageError: `out` cannot be written.
    """
    target = out / "train_images" / study_id
    if target.is_dir():
        return target
    found = find_cohort_seed(study_id, cohorts)
    if found is None:
        raise DataRootError(
            f"Study {study_id} is not on this machine and belongs to no shipped synthetic cohort; "
            "set RSNA_ROOT to the data set that holds it."
        )
    cohort, number = found
    scratch = out / f".making-{uuid.uuid4().hex}"
    study = make_study(
        cohort.seed,
        number,
        matrix=cohort.matrix,
        rsna_like=cohort.rsna_like,
        recipe=cohort.recipe,
    )
    try:
        write_study(study, scratch, study_id)
        # The images come last, for they say that the study is complete.
        for file in sorted(path for path in scratch.glob("*/*") if path.is_file()):
            kept = out / file.relative_to(scratch)
            kept.parent.mkdir(parents=True, exist_ok=True)
            file.replace(kept)
        target.parent.mkdir(parents=True, exist_ok=True)
        # The rename fails if another caller was first; its copy is equal.
        with contextlib.suppress(OSError):
            (scratch / "train_images" / study_id).rename(target)
    except OSError as error:
        raise StorageError(
            f"Cannot write {out}: {error.strerror or 'the write failed'}; free some space or "
            "set CSPINE_VAR to a folder you can write to."
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if not target.is_dir():
        raise StorageError(f"Cannot write {target}; check the permissions of the folder.")
    return target


def made_record(folder: Path) -> StudyRecord:
    """Record of a study that `materialise_study` made, with its truth, boxes and mask.

    Args:
        folder: Folder of its DICOM files.

    Returns:
        Without truth, boxes and mask where an earlier version, which did not keep them, made it.
    """
    study_id, out = folder.name, folder.parent.parent
    try:
        truth = json.loads((out / "phantom_truth" / f"{study_id}.json").read_text())
        labels = tuple(bool(value) for value in truth["labels"])
        boxes = tuple(
            (int(number), (float(x0), float(y0), float(x1), float(y1)))
            for number, x0, y0, x1, y1 in truth["boxes"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return StudyRecord(study_id, folder, names=(study_id,))
    mask = out / "segmentations" / f"{study_id}.nii"
    kept = mask if mask.is_file() else None
    return StudyRecord(study_id, folder, labels, boxes, kept, (study_id,))


@lru_cache(maxsize=8)
def cohort_numbers(cohort: CohortSeed) -> dict[str, int]:
    """Number of each study of a cohort by StudyInstanceUID."""
    uids = cohort_uids(
        studies=cohort.studies,
        seed=cohort.seed,
        matrix=cohort.matrix,
        rsna_like=cohort.rsna_like,
        recipe=cohort.recipe,
    )
    return {uid: number for number, uid in enumerate(uids)}
