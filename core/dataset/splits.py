"""Folds by patient, with the same share of fractured patients in each, kept in a file."""

from __future__ import annotations

import json
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.errors import DataRootError
from core.system.atomic_files import write_json
from core.types import IntArray, StudyRecord

_FORMAT: Final = 1


def assign_folds(
    records: Sequence[StudyRecord],
    folds: int,
    seed: int,
    *,
    patients: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Give each study the number of the fold in which it is held out.

    No patient is ever on both sides. The result depends on the set of studies, their labels and
    the seed, not on their order. Another release of scikit-learn may split differently;
    `load_or_make_folds` saves folds that must not change.

    Args:
        records: The studies, each once; unlabelled ones form a separate stratum.
        folds: Number of folds, >= 2.
        seed: Seed of the shuffle.
        patients: Patient by study id; a study without an entry counts as a separate patient,
            as every study of RSNA's set does.

    Returns:
        Fold 0..folds-1 by study id.

    Raises:
        DataRootError: There are fewer patients than folds.
    """
    ordered = sorted(records, key=lambda record: record.study_id)
    study_ids = [record.study_id for record in ordered]
    groups = _patients_of(study_ids, patients)
    if len(set(groups)) < folds:
        raise DataRootError(
            f"{_count(len(set(groups)), patients)} cannot be split into {folds} folds; "
            "lower `folds` or add studies."
        )
    strata = np.array([_stratum(record) for record in ordered])
    assigned = grouped_folds(np.array(groups), strata, folds, seed)
    return dict(zip(study_ids, assigned.tolist(), strict=True))


def grouped_folds(groups: NDArray[Any], strata: NDArray[Any], folds: int, seed: int) -> IntArray:
    """Spread groups over folds, each stratum as evenly as possible.

    Args:
        groups: (n,) any identifier; items that share one share a fold. At least `folds` of them.
        strata: (n,) any label.
        folds: Number of folds, >= 2.
        seed: Seed of the shuffle.

    Returns:
        Fold 0..folds-1 of each item, int64 (n,).
    """
    # Importing scikit-learn takes a second; pages that split nothing need not wait for it.
    from sklearn.model_selection import StratifiedGroupKFold

    # scikit-learn refuses when every stratum is smaller than the number of folds.
    if np.unique_counts(strata).counts.max() < folds:
        strata = np.zeros(len(groups), np.int64)
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    assigned = np.empty(len(groups), np.int64)
    with warnings.catch_warnings():
        # Expected: a stratum smaller than the number of folds does not reach every fold.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        for fold, (_, held_out) in enumerate(splitter.split(groups, strata, groups=groups)):
            assigned[held_out] = fold
    return assigned


def load_or_make_folds(
    path: Path,
    records: Sequence[StudyRecord],
    folds: int,
    seed: int,
    *,
    patients: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Return the folds saved in `path`; make and save them if the file does not exist.

    A saved study never changes its fold, so results stay comparable when the data set grows or a
    label is corrected. Studies missing from the file are added to it: to the fold of their
    patient if that is known, else, in the order of patients, to the fold that holds the fewest
    studies of their stratum (then the fewest studies, then the lowest number). Studies that the
    data set no longer has stay in the file.

    Args:
        path: JSON; the same file gives the same folds on every machine.
        records: As for `assign_folds`.
        folds: Number of folds; must match the file.
        seed: Seed of the shuffle; must match the file.
        patients: As for `assign_folds`.

    Returns:
        Fold 0..folds-1 by study id, for the studies in `records` only.

    Raises:
        DataRootError: The file is damaged, was made with other `folds` or `seed`, or has a patient
            in two folds; or a new file is needed and there are fewer patients than folds.
        StorageError: The file cannot be written.
    """
    saved = _read(path, folds, seed)
    if saved is None:
        assigned = assign_folds(records, folds, seed, patients=patients)
        _write(path, assigned, folds, seed)
        return assigned
    of_patient = _fold_of_patient(path, saved, patients)
    new = [record for record in records if record.study_id not in saved]
    if new:
        strata = {record.study_id: _stratum(record) for record in records}
        saved = saved | _placed(new, saved, of_patient, folds, strata, patients)
        _write(path, saved, folds, seed)
    return {record.study_id: saved[record.study_id] for record in records}


def _placed(
    new: Sequence[StudyRecord],
    saved: Mapping[str, int],
    of_patient: Mapping[str, int],
    folds: int,
    strata: Mapping[str, str],
    patients: Mapping[str, str] | None,
) -> dict[str, int]:
    """Return a fold for each new study, as `load_or_make_folds` describes."""
    sizes = Counter(saved.values())
    held = Counter((fold, strata[study]) for study, fold in saved.items() if study in strata)
    study_ids = sorted(record.study_id for record in new)
    studies_of: dict[str, list[str]] = defaultdict(list)
    for study, patient in zip(study_ids, _patients_of(study_ids, patients), strict=True):
        studies_of[patient].append(study)
    placed: dict[str, int] = {}
    for patient, studies in sorted(studies_of.items()):
        # The first in the alphabet: with one fractured study the patient counts as fractured.
        stratum = min(strata[study] for study in studies)
        fold = of_patient.get(patient)
        if fold is None:
            fold = min(range(folds), key=lambda k: (held[k, stratum], sizes[k], k))
        placed |= dict.fromkeys(studies, fold)
        held.update((fold, strata[study]) for study in studies)
        sizes[fold] += len(studies)
    return placed


def _fold_of_patient(
    path: Path, saved: Mapping[str, int], patients: Mapping[str, str] | None
) -> dict[str, int]:
    """Return the fold of every patient in the file; raise DataRootError for one in two folds."""
    found: dict[str, int] = {}
    for patient, fold in zip(_patients_of(saved, patients), saved.values(), strict=True):
        if found.setdefault(patient, fold) != fold:
            raise DataRootError(
                f"{path} has studies of one patient in two folds; remove the file to split again."
            )
    return found


def _read(path: Path, folds: int, seed: int) -> dict[str, int] | None:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _unreadable(path) from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise _unreadable(path)
    if (content.get("folds"), content.get("seed")) != (folds, seed):
        raise DataRootError(
            f"{path} was made with other settings than folds {folds} and seed {seed}; give the "
            "settings it holds, or another file."
        )
    saved = content.get("fold_of_study")
    if not isinstance(saved, dict):
        raise _unreadable(path)
    if not all(type(fold) is int and 0 <= fold < folds for fold in saved.values()):
        raise _unreadable(path)
    return saved


def _write(path: Path, assigned: Mapping[str, int], folds: int, seed: int) -> None:
    content = {"format": _FORMAT, "folds": folds, "seed": seed}
    write_json(path, content | {"fold_of_study": dict(sorted(assigned.items()))})


def _unreadable(path: Path) -> DataRootError:
    return DataRootError(
        f"{path} cannot be read as saved folds; restore it, or remove it to split again."
    )


def _patients_of(study_ids: Iterable[str], patients: Mapping[str, str] | None) -> list[str]:
    """Return the patient of each study; a study of unknown patient counts as a separate one."""
    named = patients or {}
    # The prefixes distinguish a patient's name from a study's.
    return [f"p {named[s]}" if s in named else f"s {s}" for s in study_ids]


def _count(n: int, patients: Mapping[str, str] | None) -> str:
    one, many = ("study", "studies") if patients is None else ("patient", "patients")
    return f"{n} {one if n == 1 else many}"


def _stratum(record: StudyRecord) -> str:
    if record.patient_fractured is None:
        return "unlabelled"
    return "fractured" if record.patient_fractured else "intact"
