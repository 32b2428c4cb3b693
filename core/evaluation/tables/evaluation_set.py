"""Models and truth on the same studies, and the scored items of each level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.constants import N_VERTEBRAE
from core.dataset.label_table import as_known
from core.errors import PredictionsError
from core.evaluation.arrays import frozen, rows_of_studies
from core.evaluation.tables.score_table import NO_SLICES, ScoreTable
from core.evaluation.tables.truth_table import TruthTable
from core.types import LevelName

SliceTruth = Literal["vertebra visible", "boxed"]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How one model's studies match the truth; every study left out is listed.

    Attributes:
        model: Name of the model.
        missing: Studies with truth that the model has no score for.
        extra: Scored studies without truth.
        unfit: Evaluated studies whose slice truth has another number of slices than the model;
            they count for vertebrae and patients, not for slices.
        not_shared: Studies with score and truth that are left out because another model lacks them.
    """

    model: str
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    unfit: tuple[str, ...] = ()
    not_shared: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """One sentence per reason for which studies are left out."""
        kinds = (
            (self.missing, "studies with truth have no score"),
            (self.extra, "scored studies have no truth"),
            (self.not_shared, "studies are left out because another model has no score for them"),
            (self.unfit, "studies have a mask with another number of slices"),
        )
        return [
            f"{self.model}: {len(studies)} {what} (first {studies[0]})."
            for studies, what in kinds
            if studies
        ]


@dataclass(frozen=True, slots=True, eq=False)
class LevelItems:
    """Scores and truth of the items of one level.

    Attributes:
        scores: float64 (m,), higher is more likely positive.
        truth: bool (m,).
        patients: int64 (m,), index of the study in `EvaluationSet.truth.study_ids`, rising.
        vertebrae: int8 (m,), 0..6 for C1..C7; -1 for items without a vertebra.
        slices: int32 (m,), slice index in the study; -1 for items that are not slices.
    """

    scores: NDArray[np.float64]
    truth: NDArray[np.bool_]
    patients: NDArray[np.int64]
    vertebrae: NDArray[np.int8]
    slices: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationSet:
    """Truth and models of the same n studies in the same order.

    Attributes:
        truth: Truth of these studies.
        models: Models, at least one; their `study_ids` equal those of `truth`.
        coverage: Coverage of each model.
    """

    truth: TruthTable
    models: tuple[ScoreTable, ...]
    coverage: tuple[Coverage, ...]
    _places: dict[tuple[bytes, bytes], _SlicePlaces] = field(
        default_factory=dict, init=False, repr=False
    )

    def model(self, name: str) -> ScoreTable:
        """The model called `name`.

        Raises:
            PredictionsError: There is none.
        """
        for model in self.models:
            if model.name == name:
                return model
        raise PredictionsError(f"There is no model named {name!r} here; choose one that is loaded.")

    def take(self, places: NDArray[np.intp]) -> EvaluationSet:
        """The studies at rising indices `places` (k,); coverage is unchanged.

        Raises:
            PredictionsError: There is no place.
        """
        if len(places) == 0:
            raise PredictionsError("No study is left by these filters; widen one of them.")
        models = tuple(model.take(places) for model in self.models)
        return EvaluationSet(self.truth.take(places), models, self.coverage)

    def unsupported(
        self, name: str, level: LevelName, definition: SliceTruth = "vertebra visible"
    ) -> str | None:
        """Why a model cannot be evaluated at a level, in one sentence; None where it can."""
        if level in ("vertebra", "patient"):
            return None
        if self.model(name).slice_scores is None:
            return f"{name} has no {level} level: {NO_SLICES}."
        if not self._masked(self.model(name)).any():
            return f"There is no {level} level: no study here has a vertebra mask that fits."
        if level == "slice" and definition == "boxed" and self.truth.boxed is None:
            return "There is no truth by boxes: this cohort's boxes are not known."
        return None

    def n_slices_with_truth(self, name: str) -> int:
        """Number of a model's slices that have mask truth."""
        model = self.model(name)
        return int(np.diff(model.offsets)[self._masked(model)].sum())

    def items(
        self,
        name: str,
        level: LevelName,
        vertebra: int | None = None,
        definition: SliceTruth = "vertebra visible",
    ) -> LevelItems:
        """Scores and truth of one level.

        ==========  ==========================  ================================================
        level       pooled                      of vertebra j
        ==========  ==========================  ================================================
        slice       p_i against max_j y_j v_ij  f_ij v_ij against y_j v_ij
        vertebra    p_j against y_j, all j      p_j against y_j
        patient     p against max_j y_j         not defined
        presence    v_ij against the mask       v_ij against the mask
        ==========  ==========================  ================================================

        Args:
            name: Name of the model.
            level: The level.
            vertebra: 0..6 for one vertebra; None pools them.
            definition: Definition of slice truth; "boxed" has no vertebra.

        Raises:
            PredictionsError: The level is not supported, or not for one vertebra.
        """
        reason = self.unsupported(name, level, definition)
        if reason:
            raise PredictionsError(reason)
        if vertebra is not None and (
            level == "patient" or (level == "slice" and definition == "boxed")
        ):
            what = "patients" if level == "patient" else "slices by their boxes"
            raise PredictionsError(f"Truth of {what} names no vertebra; evaluate all together.")
        model = self.model(name)
        if level == "patient":
            return self._patients(model)
        if level == "vertebra":
            return self._vertebrae(model, vertebra)
        if level == "presence":
            return self._presence(model, vertebra)
        return self._slices(model, vertebra, definition)

    def _patients(self, model: ScoreTable) -> LevelItems:
        n = model.n_studies
        return LevelItems(
            model.patient_scores,
            np.asarray(self.truth.fractured.any(axis=1)),
            np.arange(n),
            np.full(n, -1, np.int8),
            np.full(n, -1, np.int32),
        )

    def _vertebrae(self, model: ScoreTable, vertebra: int | None) -> LevelItems:
        n = model.n_studies
        return _of_vertebrae(
            model.vertebra_scores, self.truth.fractured, vertebra,
            np.arange(n), np.full(n, -1, np.int32),
        )  # fmt: skip

    def _masked(self, model: ScoreTable) -> NDArray[np.bool_]:
        """Studies whose slices have both score and truth, bool (n,)."""
        return self.truth.has_slices & (np.diff(self.truth.offsets) == np.diff(model.offsets))

    def _slice_rows(self, model: ScoreTable) -> _SlicePlaces:
        """Rows of a model's slices; kept, as a page asks for every vertebra of every model."""
        masked = self._masked(model)
        # Models of the same studies have the same slices as a rule, and then share the arrays.
        key = (masked.tobytes(), model.offsets.tobytes())
        if (known := self._places.get(key)) is not None:
            return known
        places = np.flatnonzero(masked)
        rows = rows_of_studies(model.offsets, places)
        patients = np.repeat(places, np.diff(model.offsets)[places])
        found = _SlicePlaces(
            score=_whole(rows, model.n_slices),
            truth=_whole(rows_of_studies(self.truth.offsets, places), len(self.truth.presence)),
            patients=frozen(patients),
            slices=frozen((rows - model.offsets[:-1][patients]).astype(np.int32)),
        )
        return self._places.setdefault(key, found)

    def _slices(
        self, model: ScoreTable, vertebra: int | None, definition: SliceTruth
    ) -> LevelItems:
        at = self._slice_rows(model)
        if model.slice_scores is None or model.presence is None or model.fracture is None:
            raise PredictionsError(f"{model.name} has no slice level: {NO_SLICES}.")
        n = len(at.patients)
        if vertebra is not None:
            column = min(vertebra, model.fracture.shape[1] - 1)
            v, f = model.presence[:, vertebra], model.fracture[:, column]
            scores = (v.astype(np.float64) * f)[at.score]
            shown = self.truth.presence[at.truth, vertebra]
            truth = shown & self.truth.fractured[at.patients, vertebra]
            return LevelItems(scores, truth, at.patients, np.full(n, vertebra, np.int8), at.slices)
        scores = model.slice_scores[at.score]
        if definition == "boxed" and self.truth.boxed is not None:
            truth = self.truth.boxed[at.truth]
        else:
            truth = np.zeros(n, np.bool_)
            for j in range(N_VERTEBRAE):
                shown = self.truth.presence[at.truth, j]
                truth |= shown & self.truth.fractured[at.patients, j]
        return LevelItems(scores, truth, at.patients, np.full(n, -1, np.int8), at.slices)

    def _presence(self, model: ScoreTable, vertebra: int | None) -> LevelItems:
        at = self._slice_rows(model)
        if model.presence is None:
            raise PredictionsError(f"{model.name} has no presence level: {NO_SLICES}.")
        return _of_vertebrae(
            model.presence[at.score], self.truth.presence[at.truth], vertebra,
            at.patients, at.slices,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _SlicePlaces:
    """Rows of the slices with both score and truth; a slice object where those are all."""

    score: NDArray[np.int64] | slice
    truth: NDArray[np.int64] | slice
    patients: NDArray[np.int64]
    slices: NDArray[np.int32]


def _of_vertebrae(
    scores: NDArray[np.floating[Any]], truth: NDArray[np.bool_], vertebra: int | None,
    patients: NDArray[np.int64], slices: NDArray[np.int32],
) -> LevelItems:  # fmt: skip
    """Items of one vertebra, or of all seven, from rows of scores and truth (m, 7)."""
    chosen = np.arange(N_VERTEBRAE) if vertebra is None else np.array([vertebra])
    return LevelItems(
        scores[:, chosen].ravel().astype(np.float64, copy=False),
        truth[:, chosen].ravel(),
        np.repeat(patients, len(chosen)),
        np.tile(chosen.astype(np.int8), len(scores)),
        np.repeat(slices, len(chosen)),
    )


def _whole(rows: NDArray[np.int64], n: int) -> NDArray[np.int64] | slice:
    """A slice object, so a view instead of a copy, where all rows are meant."""
    return slice(None) if len(rows) == n else rows


def align(models: Sequence[ScoreTable], truth: TruthTable) -> EvaluationSet:
    """Restrict models and truth to the studies that all of them have.

    Ids of a model that differ from the truth's by case and blanks alone, and names of folders, are
    the same studies.

    Raises:
        PredictionsError: There is no model, two share a name, or no study is left.
    """
    if not models:
        raise PredictionsError("There is no model to evaluate; choose at least one.")
    names = [model.name for model in models]
    if len(set(names)) < len(names):
        raise PredictionsError("Two models have the same name; rename one of them.")
    known = set(truth.study_ids.tolist())
    models = [_named_as(truth, model) for model in models]
    scored = [set(model.study_ids.tolist()) for model in models]
    shared = np.array(sorted(known.intersection(*scored)), np.str_)
    if len(shared) == 0:
        raise PredictionsError(
            f"No study with truth is scored by every model ({', '.join(names)}); give the truth of "
            "the same data set, or fewer models."
        )
    kept = truth.take(np.searchsorted(truth.study_ids, shared))
    tables = tuple(model.take(np.searchsorted(model.study_ids, shared)) for model in models)
    coverage = tuple(
        Coverage(
            model=table.name,
            missing=tuple(sorted(known - own)),
            extra=tuple(sorted(own - known)),
            unfit=_unfit(table, kept),
            not_shared=tuple(sorted((own & known) - set(shared.tolist()))),
        )
        for table, own in zip(tables, scored, strict=True)
    )
    return EvaluationSet(kept, tables, coverage)


def _named_as(truth: TruthTable, model: ScoreTable) -> ScoreTable:
    """Return the model with its studies named as in the truth, in the order of these names."""
    own = model.study_ids.tolist()
    known = [*truth.study_ids.tolist(), *truth.ids_by_name]
    renamed = [truth.ids_by_name.get(name, name) for name in as_known(own, known)]
    if renamed == own or len(set(renamed)) < len(renamed):
        return model
    ids = np.array(renamed, np.str_)
    return replace(model, study_ids=frozen(ids)).arranged(np.argsort(ids, kind="stable"))


def _unfit(model: ScoreTable, truth: TruthTable) -> tuple[str, ...]:
    if model.slice_scores is None:
        return ()
    differ = truth.has_slices & (np.diff(truth.offsets) != np.diff(model.offsets))
    return tuple(truth.study_ids[differ].tolist())
