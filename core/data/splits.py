"""Folds by patient, with the same share of fractured patients in each."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from core.errors import DataRootError
from core.types import StudyRecord


def assign_folds(records: Sequence[StudyRecord], folds: int, seed: int) -> dict[str, int]:
    """Give each study the number of the fold in which it is held out.

    RSNA's set has one study a patient, so the study is the group: no slice of a patient is ever
    on both sides. The result depends on the set of studies and the seed, not on their order.

    Args:
        records: The studies, each once; unlabelled ones form a stratum of their own.
        folds: Number of folds, >= 2.
        seed: Seed of the shuffle.

    Returns:
        Fold 0..folds-1 by study id.

    Raises:
        DataRootError: There are fewer studies than folds.
    """
    if len(records) < folds:
        raise DataRootError(
            f"{len(records)} studies cannot be split into {folds} folds; "
            "lower `folds` or add studies."
        )
    ordered = sorted(records, key=lambda record: record.study_id)
    study_ids = [record.study_id for record in ordered]
    strata = np.array([_stratum(record) for record in ordered])
    # scikit-learn refuses when every stratum is smaller than the number of folds.
    if np.unique_counts(strata).counts.max() < folds:
        strata[:] = "any"
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A stratum smaller than the number of folds is spread as far as it goes, which is wanted.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        splits = list(splitter.split(study_ids, strata, groups=study_ids))
    return {
        study_ids[index]: fold for fold, (_, held_out) in enumerate(splits) for index in held_out
    }


def _stratum(record: StudyRecord) -> str:
    if record.patient_fractured is None:
        return "unlabelled"
    return "fractured" if record.patient_fractured else "intact"
