"""What a reader study found: each reader, the class, the model, and the cases that fooled most.

Pages and the command line show the same `StudyResults`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np

from core.constants import VERTEBRAE
from core.evaluation.curves import threshold_counts
from core.evaluation.delong import auc_estimate
from core.evaluation.estimates import Estimate, clustered_share
from core.reader_study.agreement import cohen_kappa, fleiss_kappa
from core.reader_study.answers import Answer
from core.reader_study.mrmc import ReaderMean
from core.reader_study.reader_means import AnswerTable, mean_difference, mean_figure, model_lead

Figure = Literal["auc", "sensitivity", "specificity"]
FIGURES: Final[tuple[Figure, ...]] = ("auc", "sensitivity", "specificity")


@dataclass(frozen=True, slots=True)
class CallFigures:
    """How well one reader, or the model, called some cases.

    Attributes:
        n_cases: Number of cases.
        sensitivity: Share of fractured studies called, with Wilson's interval; None without one.
        specificity: Share of the others not called; None without one.
        auc: Area under the ROC curve of the ratings, with DeLong's interval; None without both
            kinds of study, or with one of a kind.
        seconds: Median time of an answer; None for the model.
        vertebrae: Share of fractured vertebrae that were named; None without one.
        false_vertebrae: Intact vertebrae that were named.
        boxes: Number of boxes drawn.
        boxes_right: Number of them on a true box.
    """

    n_cases: int
    sensitivity: Estimate | None
    specificity: Estimate | None
    auc: Estimate | None
    seconds: float | None = None
    vertebrae: Estimate | None = None
    false_vertebrae: int = 0
    boxes: int = 0
    boxes_right: int = 0


@dataclass(frozen=True, slots=True)
class ReaderResult:
    """One reader.

    Attributes:
        reader: Number of the reader, from 1.
        group: Group of a crossover, 0 or 1.
        all: Figures of all answers.
        without: Figures of the answers without help; None without such an answer.
        helped: Figures of the answers with help; None without such an answer.
        with_model: Cohen's kappa of the reader's and the model's calls; None without a model.
    """

    reader: int
    group: int
    all: CallFigures
    without: CallFigures | None
    helped: CallFigures | None
    with_model: Estimate | None


@dataclass(frozen=True, slots=True)
class ModelResult:
    """The model on the cases that were read.

    Attributes:
        figures: Its figures.
        threshold: A probability from here on is a call.
        false_positive_rate: Abscissas of its ROC curve, from 0 to 1.
        sensitivity: Ordinates.
    """

    figures: CallFigures
    threshold: float
    false_positive_rate: tuple[float, ...]
    sensitivity: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ArmResult:
    """The class with or without help.

    Attributes:
        helped: Whether the readers saw the model's scores.
        n_answers: Number of answers.
        means: Mean over readers by figure; readers for whom it is not defined are left out.
        seconds: Median time of an answer.
        versus_model: AUC of the readers less that of the model on the same cases; None without a
            model.
    """

    helped: bool
    n_answers: int
    means: dict[Figure, ReaderMean | None]
    seconds: float
    versus_model: ReaderMean | None


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case.

    Attributes:
        study_id: StudyInstanceUID.
        fractured: Names of its fractured vertebrae; "" for none.
        n_readers: Number of answers.
        n_wrong: Number of wrong calls.
        mean_rating: Mean of the ratings 1 to 6.
        seconds: Median time.
        model_prob: The model's p; None without a model.
        model_wrong: Whether the model's call is wrong; None without a model.
    """

    study_id: str
    fractured: str
    n_readers: int
    n_wrong: int
    mean_rating: float
    seconds: float
    model_prob: float | None
    model_wrong: bool | None

    @property
    def share_wrong(self) -> float:
        """Share of wrong calls."""
        return self.n_wrong / self.n_readers


@dataclass(frozen=True, slots=True)
class StudyResults:
    """All results of a reader study.

    Attributes:
        n_cases: Number of cases with an answer.
        n_fractured: Those of them with a fracture.
        n_answers: Number of answers.
        readers: The readers, by number.
        arms: The class without and with help, as far as there are answers.
        help: Help less no help, by figure; empty where one of the two is missing.
        agreement: Fleiss' kappa of the calls; None where it is not defined.
        model: The model; None without one.
        cases: The cases, those that fooled most first.
    """

    n_cases: int
    n_fractured: int
    n_answers: int
    readers: tuple[ReaderResult, ...]
    arms: tuple[ArmResult, ...]
    help: dict[Figure, ReaderMean | None]
    agreement: Estimate | None
    model: ModelResult | None
    cases: tuple[CaseResult, ...]

    def to_json(self) -> dict[str, Any]:
        """The results as JSON values."""
        return asdict(self)


def analyse(answers: Sequence[Answer]) -> StudyResults | None:
    """Analyse the answers of a reader study; None without an answer."""
    if not answers:
        return None
    table = AnswerTable.of(answers)
    has_model = all(answer.model_prob is not None for answer in answers)
    arms = tuple(
        _arm(table, helped, has_model=has_model) for helped in (False, True)
        if table.read[int(helped)].any()
    )  # fmt: skip
    calls = np.array([[a.draft.called for a in answers], [not a.draft.called for a in answers]])
    places = np.array([table.cases.index(answer.case) for answer in answers])
    counts = np.stack([np.bincount(places, row, len(table.cases)) for row in calls], axis=1)
    return StudyResults(
        n_cases=len(table.cases),
        n_fractured=int(table.truth.sum()),
        n_answers=len(answers),
        readers=tuple(_reader(number, answers, has_model) for number in table.readers),
        arms=arms,
        help={} if len(arms) < 2 else {name: mean_difference(table, name) for name in FIGURES},
        agreement=fleiss_kappa(counts),
        model=_model(answers) if has_model else None,
        cases=_cases(answers),
    )


def _arm(table: AnswerTable, helped: bool, *, has_model: bool) -> ArmResult:
    read = table.read[int(helped)]
    return ArmResult(
        helped=helped,
        n_answers=int(read.sum()),
        means={name: mean_figure(table, name, helped=helped) for name in FIGURES},
        seconds=float(np.median(table.seconds[read])),
        versus_model=model_lead(table, helped=helped) if has_model else None,
    )


def _reader(number: int, answers: Sequence[Answer], has_model: bool) -> ReaderResult:
    own = [answer for answer in answers if answer.reader == number]
    helped = [answer for answer in own if answer.helped]
    alone = [answer for answer in own if not answer.helped]
    return ReaderResult(
        reader=number,
        group=own[0].group,
        all=_figures(own),
        without=_figures(alone) if alone else None,
        helped=_figures(helped) if helped else None,
        with_model=cohen_kappa([a.draft.called for a in own], [_model_calls(a) for a in own])
        if has_model
        else None,
    )


def _figures(answers: Sequence[Answer]) -> CallFigures:
    truth = np.array([answer.case.patient for answer in answers])
    called = np.array([answer.draft.called for answer in answers])
    named = np.array([[name in a.draft.vertebrae for name in VERTEBRAE] for a in answers])
    flags = np.array([answer.case.fractured for answer in answers])
    patients = np.broadcast_to(np.arange(len(answers))[:, None], flags.shape)
    return CallFigures(
        n_cases=len(answers),
        sensitivity=_share(called[truth]),
        specificity=_share(~called[~truth]),
        auc=auc_estimate([answer.draft.rating for answer in answers], truth),
        seconds=float(np.median([answer.seconds for answer in answers])),
        vertebrae=clustered_share(named[flags], patients[flags]),
        false_vertebrae=int((named & ~flags).sum()),
        boxes=sum(len(answer.draft.boxes) for answer in answers),
        boxes_right=sum(answer.draft.boxes_right for answer in answers),
    )


def _share(hits: np.ndarray) -> Estimate | None:
    return clustered_share(hits, np.arange(len(hits)))


def _model_calls(answer: Answer) -> bool:
    prob, threshold = answer.model_prob, answer.model_threshold
    return prob is not None and threshold is not None and prob >= threshold


def _model(answers: Sequence[Answer]) -> ModelResult:
    once = list({answer.case.study_id: answer for answer in answers}.values())
    truth = np.array([answer.case.patient for answer in once])
    probs = np.array([answer.model_prob for answer in once], dtype=np.float64)
    called = np.array([_model_calls(answer) for answer in once])
    curve = threshold_counts(probs, truth)
    figures = CallFigures(
        n_cases=len(once),
        sensitivity=_share(called[truth]),
        specificity=_share(~called[~truth]),
        auc=auc_estimate(probs, truth),
    )
    return ModelResult(
        figures=figures,
        threshold=once[0].model_threshold or 0.0,
        false_positive_rate=(0.0, *curve.false_positive_rate().tolist()),
        sensitivity=(0.0, *curve.recall().tolist()),
    )


def _cases(answers: Sequence[Answer]) -> tuple[CaseResult, ...]:
    by_case: dict[str, list[Answer]] = {}
    for answer in answers:
        by_case.setdefault(answer.case.study_id, []).append(answer)
    found = [_case(study_id, own) for study_id, own in by_case.items()]
    return tuple(sorted(found, key=lambda one: (-one.share_wrong, -one.n_readers, one.study_id)))


def _case(study_id: str, own: Sequence[Answer]) -> CaseResult:
    case, prob = own[0].case, own[0].model_prob
    return CaseResult(
        study_id=study_id,
        fractured=", ".join(n for n, y in zip(VERTEBRAE, case.fractured, strict=True) if y),
        n_readers=len(own),
        n_wrong=sum(answer.draft.called != case.patient for answer in own),
        mean_rating=float(np.mean([answer.draft.rating for answer in own])),
        seconds=float(np.median([answer.seconds for answer in own])),
        model_prob=prob,
        model_wrong=None if prob is None else _model_calls(own[0]) != case.patient,
    )
