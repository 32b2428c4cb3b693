"""Truth of a cohort as arrays, the counterpart of `ScoreTable`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from core.constants import N_VERTEBRAE
from core.errors import PredictionsError
from core.evaluation.arrays import frozen, offsets_of, rows_of_studies
from core.evaluation.tables.truth import StudyTruth


@dataclass(frozen=True, slots=True, eq=False)
class TruthTable:
    """Truth of n studies, of which some have truth for their slices (N in all).

    All arrays are read-only.

    Attributes:
        study_ids: str (n,), sorted, each once.
        fractured: bool (n, 7), y_j for C1..C7.
        offsets: int64 (n + 1,); slice truth of study k is rows `offsets[k]:offsets[k + 1]`, none
            for a study without a mask.
        presence: bool (N, 7), vertebra j is visible in slice i, slice 0 the most cranial.
        boxed: bool (N,), the slice has a fracture box; None where boxes are not known.
        ids_by_name: Study ids by other names of the studies, which tables of scores may use.
    """

    study_ids: NDArray[np.str_]
    fractured: NDArray[np.bool_]
    offsets: NDArray[np.int64]
    presence: NDArray[np.bool_]
    boxed: NDArray[np.bool_] | None = None
    ids_by_name: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def n_studies(self) -> int:
        """Number of studies."""
        return len(self.study_ids)

    @property
    def has_slices(self) -> NDArray[np.bool_]:
        """Whether each study has slice truth, bool (n,)."""
        return np.diff(self.offsets) > 0

    def take(self, places: NDArray[np.intp]) -> TruthTable:
        """The studies at rising indices `places` (k,); the table itself where those are all."""
        if len(places) == self.n_studies:
            return self
        rows = rows_of_studies(self.offsets, places)
        return replace(
            self,
            study_ids=frozen(self.study_ids[places]),
            fractured=frozen(self.fractured[places]),
            offsets=frozen(offsets_of(np.diff(self.offsets)[places])),
            presence=frozen(self.presence[rows]),
            boxed=None if self.boxed is None else frozen(self.boxed[rows]),
        )


def truth_table(
    studies: Sequence[StudyTruth], boxed: dict[str, NDArray[np.bool_]] | None = None
) -> TruthTable:
    """Gather the truth of studies.

    Args:
        studies: Each once, in any order.
        boxed: By study, whether each slice has a box, bool (n_slices,). Studies that are absent
            have none; None where boxes are not known at all.

    Raises:
        PredictionsError: There is no study, one comes twice, or boxes do not fit its slices.
    """
    if not studies:
        raise PredictionsError("There is no study with truth; give at least one.")
    ordered = sorted(studies, key=lambda study: study.study_id)
    ids = [study.study_id for study in ordered]
    if len(set(ids)) < len(ids):
        twice = next(a for a, b in itertools.pairwise(ids) if a == b)
        raise PredictionsError(f"Study {twice} comes twice in the truth; keep each study once.")
    none = np.zeros((0, N_VERTEBRAE), np.bool_)
    presence = [none if study.presence is None else study.presence for study in ordered]
    offsets = offsets_of(np.array([len(rows) for rows in presence]))
    flags = None if boxed is None else np.zeros(int(offsets[-1]), np.bool_)
    for k, study in enumerate(ordered):
        own = None if boxed is None else boxed.get(study.study_id)
        if flags is None or own is None or not len(presence[k]):
            continue
        if len(own) != len(presence[k]):
            raise PredictionsError(
                f"Study {study.study_id} has {len(presence[k])} slices but boxes for {len(own)}; "
                "take both from the same series."
            )
        flags[offsets[k] : offsets[k + 1]] = own
    return TruthTable(
        study_ids=frozen(np.array(ids, np.str_)),
        fractured=frozen(np.stack([study.fractured for study in ordered])),
        offsets=frozen(offsets),
        presence=frozen(np.concatenate(presence)),
        boxed=None if flags is None else frozen(flags),
        ids_by_name={name: s.study_id for s in ordered for name in s.names if name not in ids},
    )
