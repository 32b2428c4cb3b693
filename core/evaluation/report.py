"""Predictions against truth at three levels, with intervals, as one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from core.constants import N_VERTEBRAE, VERTEBRAE
from core.errors import PredictionsError
from core.evaluation.competition import CompetitionLoss, competition_loss
from core.evaluation.levels import LevelName, LevelReport, Measuring
from core.evaluation.truth import StudyTruth
from core.inference.aggregation import Pooling, aggregate
from core.types import PatientPrediction, SlicePredictions


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """All that `evaluate` finds.

    Per-vertebra reports stand at the operating point of their pooled level.

    Attributes:
        slice: p_i against y_i = max_j y_j v_ij; None without a mask.
        vertebra: p_j against y_j, C1..C7 pooled.
        patient: p against max_j y_j.
        per_vertebra: p_j against y_j for each vertebra, by name.
        presence: v_ij against the masks, C1..C7 pooled; None without a mask.
        presence_per_vertebra: The same for each vertebra; empty without a mask.
        competition: Weighted log loss of the RSNA 2022 competition.
        n_patients: Studies evaluated.
        n_slices: Slices of the studies with masks.
        notes: Sentences about what is missing or was chosen.
    """

    slice: LevelReport | None
    vertebra: LevelReport
    patient: LevelReport
    per_vertebra: Mapping[str, LevelReport]
    presence: LevelReport | None
    presence_per_vertebra: Mapping[str, LevelReport]
    competition: CompetitionLoss
    n_patients: int
    n_slices: int
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The whole report as JSON values; a level without truth is null."""
        presence = None
        if self.presence is not None:
            presence = {
                "pooled": self.presence.to_json(),
                "per_vertebra": _by_name(self.presence_per_vertebra),
            }
        return {
            "slice": None if self.slice is None else self.slice.to_json(),
            "vertebra": self.vertebra.to_json(),
            "patient": self.patient.to_json(),
            "per_vertebra": _by_name(self.per_vertebra),
            "presence": presence,
            "competition": {
                "weighted_log_loss": self.competition.per_study_mean,
                "weighted_log_loss_global": self.competition.global_mean,
            },
            "n": {
                "patients": self.n_patients,
                "vertebrae": self.n_patients * N_VERTEBRAE,
                "slices": self.n_slices,
            },
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """One study that both sides have; `patient` is its place in the evaluated set."""

    patient: int
    prediction: SlicePredictions
    scores: PatientPrediction
    truth: StudyTruth


@dataclass(frozen=True, slots=True, eq=False)
class _MaskedSlices:
    """Slices of all studies with masks, one below the other.

    Attributes:
        slice_probs: float64 (n,), p_i.
        presence_probs: float32 (n, 7), v_ij.
        presence: bool (n, 7), from the masks.
        fractured: bool (n,), y_i = max_j y_j v_ij.
        patients: int (n,).
    """

    slice_probs: NDArray[np.float64]
    presence_probs: NDArray[np.float32]
    presence: NDArray[np.bool_]
    fractured: NDArray[np.bool_]
    patients: NDArray[np.intp]


def evaluate_predictions(
    predictions: Sequence[SlicePredictions],
    truth: Sequence[StudyTruth],
    *,
    pooling: Pooling = "mean",
    thresholds: Mapping[LevelName, float] | None = None,
    replicates: int = 1000,
    seed: int = 0,
) -> EvaluationReport:
    """Measure the studies that both sides have.

    Args:
        predictions: Slice outputs, each study once.
        truth: Truth, each study once; the slice level and presence need masks.
        pooling: How p_j is pooled over slices.
        thresholds: Operating points by level; where one is missing, the threshold with the
            highest F1 on this very set is taken and a note says so.
        replicates: Bootstrap replicates over patients.
        seed: Seed of the bootstrap.

    Raises:
        PredictionsError: No study has both sides, a study comes twice, arrays are unusable, or a
            threshold is named for a level that does not exist.
    """
    measuring = Measuring(_checked_thresholds(thresholds), replicates, seed)
    notes: list[str] = []
    pairs = _pair_up(predictions, truth, pooling, notes)
    fractured = np.stack([pair.truth.fractured for pair in pairs])
    p_j = np.stack([pair.scores.vertebra_probs for pair in pairs])
    p = np.array([pair.scores.patient_prob for pair in pairs])
    patients = np.arange(len(pairs))
    vertebra, per_vertebra = _vertebra_levels("vertebra", p_j, fractured, patients, measuring)
    slices = _masked_slices(pairs, notes)
    slice_level = presence = None
    presence_per_vertebra: dict[str, LevelReport] = {}
    if slices is not None:
        slice_level = measuring.pooled(
            "slice", slices.slice_probs, slices.fractured, slices.patients
        )
        presence, presence_per_vertebra = _vertebra_levels(
            "presence", slices.presence_probs, slices.presence, slices.patients, measuring
        )
    patient = measuring.pooled("patient", p, np.asarray(fractured.any(axis=1)), patients)
    _note_thresholds(
        {"slice": slice_level, "vertebra": vertebra, "patient": patient, "presence": presence},
        notes,
    )
    return EvaluationReport(
        slice=slice_level,
        vertebra=vertebra,
        patient=patient,
        per_vertebra=per_vertebra,
        presence=presence,
        presence_per_vertebra=presence_per_vertebra,
        competition=competition_loss(p, p_j, fractured),
        n_patients=len(pairs),
        n_slices=0 if slices is None else len(slices.patients),
        notes=tuple(notes),
    )


def _vertebra_levels(
    name: LevelName,
    scores: NDArray[np.floating[Any]],
    truth: NDArray[np.bool_],
    patients: NDArray[np.intp],
    measuring: Measuring,
) -> tuple[LevelReport, dict[str, LevelReport]]:
    """Measure (n, 7) scores pooled, and each column at the pooled operating point."""
    pooled = measuring.pooled(name, scores.ravel(), truth.ravel(), np.repeat(patients, N_VERTEBRAE))
    columns = {
        vertebra: measuring.at(pooled.operating_point, scores[:, j], truth[:, j], patients)
        for j, vertebra in enumerate(VERTEBRAE)
    }
    return pooled, columns


def _pair_up(
    predictions: Sequence[SlicePredictions],
    truth: Sequence[StudyTruth],
    pooling: Pooling,
    notes: list[str],
) -> list[_Pair]:
    _check_once("predictions", [study.study_id for study in predictions])
    _check_once("truth", [study.study_id for study in truth])
    known = {study.study_id: study for study in truth}
    both = [study for study in predictions if study.study_id in known]
    if not both:
        raise PredictionsError(
            f"None of the {len(predictions)} predicted studies is among the {len(known)} studies "
            "with truth; give the truth of the same data set."
        )
    without = len(predictions) - len(both)
    if without:
        notes.append(f"Left out: {without} predicted studies without truth.")
    if len(known) > len(both):
        notes.append(f"Left out: {len(known) - len(both)} studies with truth but no prediction.")
    return [
        _Pair(place, study, aggregate(study, pooling=pooling), known[study.study_id])
        for place, study in enumerate(both)
    ]


def _masked_slices(pairs: Sequence[_Pair], notes: list[str]) -> _MaskedSlices | None:
    """Stack the slices of the studies whose mask fits; None where there is no such study."""
    masked = [
        (pair, pair.truth.presence)
        for pair in pairs
        if pair.truth.presence is not None
        and pair.truth.presence.shape == pair.prediction.vertebra_probs.shape
    ]
    unfit = sum(pair.truth.presence is not None for pair in pairs) - len(masked)
    if unfit:
        notes.append(
            f"{unfit} masks have another number of slices than their predictions and are left out."
        )
    if not masked:
        notes.append("Slice and presence levels need masks, and no study here has one that fits.")
        return None
    if len(masked) < len(pairs):
        notes.append(
            f"Slice and presence levels rest on the {len(masked)} of {len(pairs)} studies that "
            "have a mask."
        )
    return _MaskedSlices(
        slice_probs=np.concatenate([pair.scores.slice_probs for pair, _ in masked]),
        presence_probs=np.concatenate([pair.prediction.vertebra_probs for pair, _ in masked]),
        presence=np.concatenate([presence for _, presence in masked]),
        fractured=np.concatenate(
            [(presence & pair.truth.fractured).any(axis=1) for pair, presence in masked]
        ),
        patients=np.concatenate(
            [np.full(len(presence), pair.patient) for pair, presence in masked]
        ),
    )


def _note_thresholds(levels: Mapping[str, LevelReport | None], notes: list[str]) -> None:
    rules = {
        name: level.operating_point.rule for name, level in levels.items() if level is not None
    }
    chosen = [name for name, rule in rules.items() if rule == "highest F1"]
    if chosen:
        notes.append(
            f"Thresholds chosen by highest F1 on these very studies ({', '.join(chosen)}): figures "
            "at a threshold are optimistic there, and their intervals hold the threshold fixed."
        )
    default = [name for name, rule in rules.items() if rule == "default"]
    if default:
        notes.append(f"Only one class in the truth, threshold 0.5 taken: {', '.join(default)}.")


def _check_once(side: str, study_ids: Sequence[str]) -> None:
    seen: set[str] = set()
    for study_id in study_ids:
        if study_id in seen:
            raise PredictionsError(
                f"Study {study_id} comes twice in the {side}; keep each study once."
            )
        seen.add(study_id)


def _checked_thresholds(thresholds: Mapping[LevelName, float] | None) -> dict[LevelName, float]:
    given = dict(thresholds or {})
    levels = get_args(LevelName)
    for name in given:
        if name not in levels:
            raise PredictionsError(
                f"There is no level named {name!r} to set a threshold for; choose one of "
                f"{', '.join(levels)}."
            )
    return given


def _by_name(levels: Mapping[str, LevelReport]) -> dict[str, Any]:
    return {name: level.to_json() for name, level in levels.items()}
