"""Cached results of core.evaluation: tables, the evaluated studies, and their curves."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import streamlit as st

from core.constants import N_VERTEBRAE, VERTEBRAE
from core.dataset.index import STUDIES_FILE, index_folder
from core.errors import DataRootError
from core.evaluation.curves import (
    CurvePoints,
    SortedScores,
    ThresholdCounts,
    curve_points,
    threshold_counts,
)
from core.evaluation.tables.cohort_filter import (
    CohortFilter,
    StudyFacts,
    filtered_places,
    read_study_facts,
)
from core.evaluation.tables.evaluation_set import EvaluationSet, LevelItems, SliceTruth, align
from core.evaluation.tables.outside_scores import read_outside_scores
from core.evaluation.tables.score_files import read_score_table, read_truth_table
from core.evaluation.tables.score_table import ScoreTable
from core.evaluation.tables.truth_table import TruthTable
from core.inference.aggregation import Pooling
from core.types import LevelName
from dashboard.evaluation.sources import PredictionSource, TruthSource
from dashboard.evaluation.view import EvaluationView
from dashboard.session.settings import settings
from dashboard.studies.cohort import files_signature

DEFINITIONS: Final[dict[str, SliceTruth]] = {"visible": "vertebra visible", "boxed": "boxed"}
POINTS_OF_A_CURVE: Final = 320
POINTS_OF_A_PANEL: Final = 120


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """Models and truth of the studies shown.

    Attributes:
        key: Key of everything derived; it changes with anything that changes a figure.
        data: Studies, aligned and filtered.
        whole: Number of studies before the filter.
    """

    key: str
    data: EvaluationSet
    whole: int


BY_KEY: Final[dict[str | type[Any], Callable[[Any], Any]]] = {Evaluated: operator.attrgetter("key")}
"""For `st.cache_resource`: results are kept by `Evaluated.key`."""


@dataclass(frozen=True, slots=True)
class Question:
    """Level and definition of truth of an evaluation.

    Attributes:
        level: The level.
        definition: Definition of slice truth.
    """

    level: LevelName
    definition: SliceTruth = "vertebra visible"

    @property
    def knows_vertebrae(self) -> bool:
        """Whether C1..C7 can be evaluated one by one, at patient level by the vertebra scores."""
        return not (self.level == "slice" and self.definition == "boxed")

    @property
    def of_vertebrae(self) -> Question:
        """The question of the per-vertebra panels."""
        return Question("vertebra") if self.level == "patient" else self


def question_of(view: EvaluationView) -> Question:
    """The question of a view."""
    return Question(view.level, DEFINITIONS[view.definition])


def load(truth: TruthSource, models: Sequence[PredictionSource], view: EvaluationView) -> Evaluated:
    """Read, align and filter the studies of a view.

    Raises:
        PredictionsError: A table cannot be read, or no study is left.
        DataRootError: The truth cannot be read.
    """
    tables = [(model.label, model.tables[truth.truth_id]) for model in models]
    whole = _aligned_of(truth.path, tables, view.pooling)
    chosen = _filter_of(view)
    if chosen == CohortFilter():
        return whole
    return _filtered(f"{whole.key}|{chosen}", whole, chosen, facts_of(truth))


def load_other(
    truths: Mapping[str, TruthSource], truth_id: str, model: PredictionSource, pooling: Pooling
) -> Evaluated | None:
    """The other studies on which a model's thresholds are chosen; None without any.

    Raises:
        PredictionsError, DataRootError: As `load`.
    """
    other = model.other_table(truth_id)
    if other is None:
        return None
    other_id, table = other
    return _aligned_of(truths[other_id].path, [(model.label, table)], pooling)


@dataclass(frozen=True, slots=True, eq=False)
class VertebraCurve:
    """The kept part of one vertebra's curve; at full size whole curves take too much memory.

    Attributes:
        points: Curve thinned for drawing.
        scores: Sorted scores, for counts at any threshold.
    """

    points: CurvePoints
    scores: SortedScores


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=BY_KEY)
def curve(evaluated: Evaluated, name: str, question: Question) -> ThresholdCounts:
    """Counts at every threshold.

    Raises:
        PredictionsError: The level is not supported.
    """
    return _threshold_counts(evaluated, name, question)


def drawn_points(
    evaluated: Evaluated, name: str, question: Question, vertebra: int | None = None
) -> CurvePoints:
    """The curve thinned for drawing.

    Raises:
        PredictionsError: As `curve`.
    """
    if vertebra is None:
        return _points(evaluated, name, question)
    return vertebra_curves(evaluated, name, question)[VERTEBRAE[vertebra]].points


def vertebra_curves(
    evaluated: Evaluated, name: str, question: Question
) -> dict[str, VertebraCurve]:
    """The curves of C1..C7, by name.

    Raises:
        PredictionsError: The level is not supported.
    """
    return _vertebra_curves(evaluated, name, question.of_vertebrae)


def vertebra_counts(
    evaluated: Evaluated, name: str, question: Question
) -> dict[str, ThresholdCounts]:
    """Counts at every threshold for each of C1..C7, by name; not cached, since they are large."""
    asked = question.of_vertebrae
    return {
        vertebra: _threshold_counts(evaluated, name, asked, j)
        for j, vertebra in enumerate(VERTEBRAE)
    }


def items(
    evaluated: Evaluated, name: str, question: Question, vertebra: int | None = None
) -> LevelItems:
    """Scores and truth of one level; not cached, since arrays of slices are large."""
    return evaluated.data.items(name, question.level, vertebra, question.definition)


def supported(
    evaluated: Evaluated, names: Sequence[str], question: Question
) -> tuple[list[str], list[str]]:
    """Names of the models that can be evaluated at this level, and why the others cannot."""
    reasons = {
        name: evaluated.data.unsupported(name, question.level, question.definition)
        for name in names
    }
    able = [name for name, reason in reasons.items() if reason is None]
    return able, sorted({reason for reason in reasons.values() if reason})


def folds_of(evaluated: Evaluated) -> list[int]:
    """Folds of the first model's studies."""
    return [int(fold) for fold in np.unique(evaluated.data.models[0].fold) if fold >= 0]


def _filter_of(view: EvaluationView) -> CohortFilter:
    return CohortFilter(
        vertebrae=(view.vertebra,) if view.vertebra else (),
        spacing_mm=view.spacing,
        without_flags=view.without,
        folds=() if view.fold is None else (view.fold,),
    )


def facts_of(truth: TruthSource) -> StudyFacts | None:
    """Facts of the studies from the index; None where there is no index."""
    if truth.root is None:
        return None
    path = index_folder(truth.root, settings().rsna_cache) / STUDIES_FILE
    if not path.is_file():
        return None
    try:
        return _facts(str(path), files_signature(path))
    except DataRootError:
        return None


def _aligned_of(truth: Path, tables: Sequence[tuple[str, Path]], pooling: Pooling) -> Evaluated:
    signature = _truth_signature(truth)
    parts = [f"{name}\0{path}\0{_table_signature(path)}" for name, path in tables]
    key = "|".join([str(truth), signature, pooling, *parts])
    return _aligned(key, truth, signature, tables, pooling)


def _truth_signature(path: Path) -> str:
    if path.is_dir():
        return files_signature(path / "train.csv", path / "segmentations", path / "truth.parquet")
    return files_signature(path, path.with_name(f"{path.stem}_slices.parquet"))


def _table_signature(path: Path) -> str:
    return files_signature(path / "slices.parquet" if path.is_dir() else path)


@st.cache_resource(max_entries=8, show_spinner=False)
def _aligned(
    key: str, _truth: Path, _signature: str, _tables: Sequence[tuple[str, Path]], _pooling: Pooling
) -> Evaluated:
    tables = [_pooled(str(path), _table_signature(path), name, _pooling) for name, path in _tables]
    data = align(tables, _truth_table(str(_truth), _signature))
    return Evaluated(key, data, data.truth.n_studies)


@st.cache_resource(max_entries=4, show_spinner=False)
def _filtered(
    key: str, _whole: Evaluated, _chosen: CohortFilter, _facts: StudyFacts | None
) -> Evaluated:
    places = filtered_places(_whole.data, _chosen, _facts)
    return Evaluated(key, _whole.data.take(places), _whole.whole)


@st.cache_resource(max_entries=8, show_spinner=False)
def _truth_table(path: str, signature: str) -> TruthTable:
    del signature
    return read_truth_table(Path(path))


@st.cache_resource(max_entries=12, show_spinner=False)
def _table(path: str, signature: str, name: str) -> ScoreTable:
    del signature
    if path.endswith(".csv"):
        return read_outside_scores(Path(path), name).table
    return read_score_table(Path(path), name)


@st.cache_resource(max_entries=12, show_spinner=False)
def _pooled(path: str, signature: str, name: str, pooling: Pooling) -> ScoreTable:
    table = _table(path, signature, name)
    return table if table.pooling in (None, pooling) else table.with_pooling(pooling)


@st.cache_resource(max_entries=4, show_spinner=False)
def _facts(path: str, signature: str) -> StudyFacts:
    del signature
    return read_study_facts(Path(path))


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=BY_KEY)
def _vertebra_curves(
    evaluated: Evaluated, name: str, question: Question
) -> dict[str, VertebraCurve]:
    # Most of it is sorting, which leaves the interpreter free for a second thread.
    with ThreadPoolExecutor(2) as pool:
        made = pool.map(partial(_vertebra_curve, evaluated, name, question), range(N_VERTEBRAE))
        return dict(zip(VERTEBRAE, made, strict=True))


def _vertebra_curve(
    evaluated: Evaluated, name: str, question: Question, vertebra: int
) -> VertebraCurve:
    counts = _threshold_counts(evaluated, name, question, vertebra)
    return VertebraCurve(curve_points(counts, POINTS_OF_A_PANEL), counts.sorted_scores())


def _threshold_counts(
    evaluated: Evaluated, name: str, question: Question, vertebra: int | None = None
) -> ThresholdCounts:
    found = items(evaluated, name, question, vertebra)
    return threshold_counts(found.scores, found.truth)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=BY_KEY)
def _points(evaluated: Evaluated, name: str, question: Question) -> CurvePoints:
    return curve_points(curve(evaluated, name, question), POINTS_OF_A_CURVE)
