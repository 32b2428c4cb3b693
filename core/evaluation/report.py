"""Evaluation report: predictions against truth at three levels, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, get_args

import numpy as np

from core.constants import N_VERTEBRAE, VERTEBRAE
from core.errors import PredictionsError
from core.evaluation.competition import CompetitionLoss, competition_loss
from core.evaluation.curves import ThresholdCounts, threshold_counts
from core.evaluation.levels import LevelReport, Measuring
from core.evaluation.tables.evaluation_set import EvaluationSet, LevelItems, SliceTruth, align
from core.evaluation.tables.score_table import ScoreTable, table_from_predictions
from core.evaluation.tables.truth import StudyTruth
from core.evaluation.tables.truth_table import TruthTable, truth_table
from core.evaluation.thresholds import Rule
from core.inference.aggregation import Pooling
from core.types import LevelName, SlicePredictions


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Result of an evaluation.

    Per-vertebra reports use the operating point of their pooled level.

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
        notes: Sentences about missing studies and chosen thresholds.
        thresholds_from: Where the thresholds come from, as the end of a sentence.
        reasons: For each level that is None, the reason in one sentence.
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
    thresholds_from: str
    reasons: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def levels(self) -> dict[LevelName, LevelReport]:
        """The pooled reports of the levels that are not None, by name."""
        found: dict[LevelName, LevelReport | None] = {
            level: getattr(self, level) for level in _LEVELS
        }
        return {level: report for level, report in found.items() if report is not None}

    def to_json(self) -> dict[str, Any]:
        """The whole report as JSON values; `reasons` explains each null level."""
        presence = None
        if self.presence is not None:
            presence = {
                "pooled": self.presence.to_json(),
                "per_vertebra": _by_name(self.presence_per_vertebra),
            }
        return {
            "thresholds_from": self.thresholds_from,
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
            "reasons": dict(self.reasons),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class ChosenOn:
    """Another set, for example out-of-fold predictions, on which thresholds are chosen.

    Attributes:
        scores: The same model's scores there.
        truth: Truth of its studies.
    """

    scores: ScoreTable
    truth: TruthTable


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
        predictions: Slice outputs, each study once, all of one model.
        truth: Truth, each study once; the slice level and presence need masks.
        pooling: How p_j is pooled over slices.
        thresholds: As for `evaluate_scores`.
        replicates: Bootstrap replicates over patients.
        seed: Seed of the bootstrap.

    Raises:
        PredictionsError: No study has both sides, a study comes twice, arrays are unusable, or a
            threshold is named for a level that does not exist.
    """
    if not predictions or not truth:
        raise _nothing_shared(len(predictions), len(truth))
    table = table_from_predictions("predictions", predictions, pooling=pooling)
    return evaluate_scores(
        table, truth_table(truth), thresholds=thresholds, replicates=replicates, seed=seed
    )


def evaluate_scores(
    scores: ScoreTable,
    truth: TruthTable,
    *,
    thresholds: Mapping[LevelName, float] | None = None,
    points_of: str = "",
    rule: Rule | None = None,
    chosen_on: ChosenOn | None = None,
    definition: SliceTruth = "vertebra visible",
    replicates: int = 1000,
    seed: int = 0,
) -> EvaluationReport:
    """Measure one model on the studies that it shares with the truth.

    Args:
        scores: Scores of the model, with or without slices.
        truth: Truth of the studies; slice level and presence need its slice truth.
        thresholds: Operating points by level; where one is missing, `rule` chooses.
        points_of: Name of the bundle that they are from.
        rule: Threshold rule; highest F1 if None.
        chosen_on: Set that the rule is applied to; None for the evaluated set, with a note.
        definition: Definition of slice truth.
        replicates: Bootstrap replicates over patients.
        seed: Seed of the bootstrap.

    Raises:
        PredictionsError: No study has both sides, or a threshold is named for a level that does not
            exist.
    """
    given = _checked_thresholds(thresholds)
    if not np.isin(scores.study_ids, truth.study_ids).any():
        raise _nothing_shared(scores.n_studies, truth.n_studies)
    evaluated = align([scores], truth)
    measured = evaluated.models[0]
    studies = measured.n_studies if chosen_on is None else chosen_on.scores.n_studies
    used = replace(rule or Rule(), studies=studies)
    measuring = Measuring(given, replicates, seed, used, _curves(chosen_on, definition))
    reasons = {
        level: reason
        for level in _LEVELS
        if (reason := evaluated.unsupported(measured.name, level, definition))
    }
    levels: dict[LevelName, LevelReport] = {
        level: measuring.pooled(level, evaluated.items(measured.name, level, None, definition))
        for level in _LEVELS
        if level not in reasons
    }
    vertebra, patient = levels["vertebra"], levels["patient"]
    presence = levels.get("presence")
    notes = evaluated.coverage[0].sentences()
    _note_slices(evaluated, notes)
    _note_thresholds(levels, notes, other_set=chosen_on is not None)
    return EvaluationReport(
        slice=levels.get("slice"),
        vertebra=vertebra,
        patient=patient,
        per_vertebra=_per_vertebra(evaluated, "vertebra", vertebra, measuring),
        presence=presence,
        presence_per_vertebra=(
            {} if presence is None else _per_vertebra(evaluated, "presence", presence, measuring)
        ),
        competition=competition_loss(
            measured.patient_scores, measured.vertebra_scores, evaluated.truth.fractured
        ),
        n_patients=measured.n_studies,
        n_slices=evaluated.n_slices_with_truth(measured.name),
        notes=tuple(notes),
        thresholds_from=_thresholds_from(used, points_of, other=chosen_on is not None),
        reasons=reasons,
    )


_LEVELS: Final[tuple[LevelName, ...]] = get_args(LevelName)


def _per_vertebra(
    evaluated: EvaluationSet, level: LevelName, pooled: LevelReport, measuring: Measuring
) -> dict[str, LevelReport]:
    """Measure each vertebra at the pooled operating point."""
    found: dict[str, LevelReport] = {}
    for j, vertebra in enumerate(VERTEBRAE):
        items = evaluated.items(evaluated.models[0].name, level, j)
        found[vertebra] = measuring.at(pooled.operating_point, items)
    return found


def _curves(chosen_on: ChosenOn | None, definition: SliceTruth) -> dict[LevelName, ThresholdCounts]:
    """Curves of every level that the other set supports."""
    if chosen_on is None:
        return {}
    other = align([chosen_on.scores], chosen_on.truth)
    name = chosen_on.scores.name
    items: dict[LevelName, LevelItems] = {
        level: other.items(name, level, None, definition)
        for level in _LEVELS
        if other.unsupported(name, level, definition) is None
    }
    return {level: threshold_counts(each.scores, each.truth) for level, each in items.items()}


def _note_slices(evaluated: EvaluationSet, notes: list[str]) -> None:
    name = evaluated.models[0].name
    if evaluated.unsupported(name, "presence") is not None:
        notes.append("Slice and presence levels need masks, and no study here has one that fits.")
        return
    masked = len(np.unique(evaluated.items(name, "presence", 0).patients))
    if masked < evaluated.truth.n_studies:
        notes.append(
            f"Slice and presence levels rest on the {masked} of {evaluated.truth.n_studies} "
            "studies that have a mask."
        )


def _note_thresholds(
    levels: Mapping[LevelName, LevelReport], notes: list[str], *, other_set: bool
) -> None:
    rules = {name: level.operating_point.rule for name, level in levels.items()}
    chosen = [
        name
        for name, level in levels.items()
        if level.operating_point.rule not in ("given", "default") and level.chosen_on is None
    ]
    if chosen:
        rule = rules[chosen[0]]
        notes.append(
            f"Thresholds chosen by {rule} on these same studies ({', '.join(chosen)}): figures "
            "at a threshold are optimistic there, and their intervals assume a fixed threshold."
        )
    for name, level in levels.items():
        if level.operating_point.shortfall:
            notes.append(
                f"No threshold keeps all limits at the {name} level; the nearest reaches "
                f"{level.operating_point.shortfall}."
            )
    if other_set:
        notes.append("Thresholds were chosen on another set; chosen_on holds the figures there.")
    default = [name for name, rule in rules.items() if rule == "default"]
    if default:
        notes.append(f"Only one class in the truth, threshold 0.5 taken: {', '.join(default)}.")


def _nothing_shared(n_predicted: int, n_known: int) -> PredictionsError:
    return PredictionsError(
        f"None of the {n_predicted} predicted studies is among the {n_known} studies "
        "with truth; give the truth of the same data set."
    )


def _thresholds_from(rule: Rule, points_of: str, *, other: bool) -> str:
    if points_of:
        return f"the operating points of {points_of}"
    return f"{rule.name} on {'other' if other else 'these same'} studies"


def _checked_thresholds(thresholds: Mapping[LevelName, float] | None) -> dict[LevelName, float]:
    given = dict(thresholds or {})
    for name in given:
        if name not in _LEVELS:
            raise PredictionsError(
                f"There is no level named {name!r} to set a threshold for; choose one of "
                f"{', '.join(_LEVELS)}."
            )
    return given


def _by_name(levels: Mapping[str, LevelReport]) -> dict[str, Any]:
    return {name: level.to_json() for name, level in levels.items()}
