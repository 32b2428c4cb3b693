"""Cached results of core.evaluation: tables, the evaluated studies, and their curves."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import streamlit as st

from core.constants import N_VERTEBRAE, VERTEBRAE
from core.dataset.index import STUDIES_FILE, index_folder
from core.errors import DataRootError
from core.evaluation.curves import SortedScores, ThresholdCounts, curve_points, threshold_counts
from core.evaluation.tables.cohort_filter import (
    CohortFilter,
    StudyFacts,
    filtered_places,
    read_study_facts,
)
from core.evaluation.tables.evaluation_set import EvaluationSet, LevelItems, SliceTruth, align
from core.evaluation.tables.score_table import ScoreTable
from core.evaluation.tables.truth_table import TruthTable
from core.inference.aggregation import Pooling
from core.types import LevelName
from dashboard.evaluation.named_tables import read_scores, read_truth
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


@dataclass(frozen=True, slots=True, eq=False)
class ModelAtLevel:
    """One model on the studies shown, at the level of a question.

    Attributes:
        evaluated: Models and truth of the studies.
        name: Name of the model.
        question: Level and definition of truth.
    """

    evaluated: Evaluated
    name: str
    question: Question

    @property
    def key(self) -> str:
        """Key of everything derived; it changes with anything that changes a figure."""
        return f"{self.evaluated.key}|{self.question}|{self.name}"

    @property
    def of_vertebrae(self) -> ModelAtLevel:
        """The model at the question of the per-vertebra panels."""
        return replace(self, question=self.question.of_vertebrae)

    def items(self, vertebra: int | None = None) -> LevelItems:
        """Scores and truth, of one vertebra (0..6) or of all; not cached, since they are large.

        Raises:
            PredictionsError: The level is not supported.
        """
        question = self.question
        return self.evaluated.data.items(self.name, question.level, vertebra, question.definition)

    def counts(self, vertebra: int | None = None) -> ThresholdCounts:
        """Counts at every threshold; not cached, see `curve`.

        Raises:
            PredictionsError: As `items`.
        """
        found = self.items(vertebra)
        return threshold_counts(found.scores, found.truth)


BY_KEY: Final[dict[str | type[Any], Callable[[Any], Any]]] = {
    ModelAtLevel: operator.attrgetter("key")
}
"""For `st.cache_resource`: results are kept by `ModelAtLevel.key`."""


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
    chosen = CohortFilter(view.vertebra, view.spacing, view.without, view.fold)
    if chosen == CohortFilter():
        return whole
    return _filtered(f"{whole.key}|{chosen}", whole, chosen, facts_of(truth))


def load_other(
    truths: Mapping[str, TruthSource], truth: TruthSource, models: Sequence[PredictionSource],
    pooling: Pooling,
) -> tuple[str, Evaluated] | None:  # fmt: skip
    """Name and content of the other studies that the models have; None if one lacks them.

    Thresholds and weights are chosen on them.

    Raises:
        PredictionsError, DataRootError: As `load`.
    """
    others = [model.other_table(truth.truth_id) for model in models]
    tables = [other for other in others if other is not None]
    if not tables or len(tables) < len(others):
        return None
    on = truths[tables[0][0]]
    named = [(model.label, table) for model, (_, table) in zip(models, tables, strict=True)]
    return on.label, _aligned_of(on.path, named, pooling)


@dataclass(frozen=True, slots=True, eq=False)
class VertebraCurve:
    """The kept part of one vertebra's curve; at full size whole curves take too much memory.

    Attributes:
        points: Curve thinned for drawing.
        scores: Sorted scores, for counts at any threshold.
    """

    points: ThresholdCounts
    scores: SortedScores


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=BY_KEY)
def curve(model: ModelAtLevel) -> ThresholdCounts:
    """Counts at every threshold.

    Raises:
        PredictionsError: The level is not supported.
    """
    return model.counts()


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=BY_KEY)
def drawn_points(model: ModelAtLevel) -> ThresholdCounts:
    """The curve thinned for drawing.

    Raises:
        PredictionsError: As `curve`.
    """
    return curve_points(curve(model), POINTS_OF_A_CURVE)


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=BY_KEY)
def vertebra_curves(model: ModelAtLevel) -> dict[str, VertebraCurve]:
    """The curves of C1..C7, by name, of a model at a question `of_vertebrae`.

    Raises:
        PredictionsError: The level is not supported.
    """

    def kept(vertebra: int) -> VertebraCurve:
        counts = model.counts(vertebra)
        return VertebraCurve(curve_points(counts, POINTS_OF_A_PANEL), counts.sorted_scores())

    # Most of it is sorting, which leaves the interpreter free for a second thread.
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(VERTEBRAE, pool.map(kept, range(N_VERTEBRAE)), strict=True))


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
    return read_truth(Path(path))


@st.cache_resource(max_entries=12, show_spinner=False)
def _table(path: str, signature: str, name: str) -> ScoreTable:
    del signature
    return read_scores(Path(path), name)


@st.cache_resource(max_entries=12, show_spinner=False)
def _pooled(path: str, signature: str, name: str, pooling: Pooling) -> ScoreTable:
    table = _table(path, signature, name)
    return table if table.pooling in (None, pooling) else table.with_pooling(pooling)


@st.cache_resource(max_entries=4, show_spinner=False)
def _facts(path: str, signature: str) -> StudyFacts:
    del signature
    return read_study_facts(Path(path))
