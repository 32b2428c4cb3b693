"""Subgroups of the active model: facts of the studies shown, figures, and the worst parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import streamlit as st

from core.dataset.index import STUDIES_FILE, index_folder
from core.errors import CSpineError
from core.evaluation.subgroup_report import Findings, condition_name
from core.evaluation.subgroups import Calls, SubgroupReport, measure_subgroups
from core.evaluation.tables.attribute_columns import ColumnTable, column_attributes
from core.evaluation.tables.attribute_sources import without_doubles
from core.evaluation.tables.attributes import Attribute, Condition, items_of
from core.evaluation.tables.evaluation_set import LevelItems
from core.evaluation.tables.known_attributes import FactPlaces, known_attributes
from core.evaluation.worst_parts import WorstPart, worst_parts
from dashboard.evaluation.added_columns import AddedColumns, list_added
from dashboard.evaluation.comparison import ComparisonTable
from dashboard.evaluation.deferred import INLINE_UP_TO, Pending, deferred
from dashboard.evaluation.named_tables import read_added_columns
from dashboard.evaluation.results import Evaluated
from dashboard.evaluation.sources import TruthSource
from dashboard.evaluation.threshold_counts import threshold_scores
from dashboard.evaluation.view import EvaluationView, Thresholds
from dashboard.session.settings import settings
from dashboard.studies.cohort import files_signature

_LATER: Final = INLINE_UP_TO + 1
"""Permutations and the search take seconds for any number of items."""


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """Facts of the studies shown.

    Attributes:
        key: Changes with anything that changes a fact.
        attributes: The facts.
        notes: Sentences on what is left out.
    """

    key: str
    attributes: tuple[Attribute, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SubgroupResults:
    """What is known of the subgroups so far.

    Attributes:
        report: Every group; `Pending` while it is computed.
        worst: The worst parts; `Pending` while they are searched.
    """

    report: SubgroupReport | Pending
    worst: tuple[WorstPart, ...] | Pending

    @property
    def pending(self) -> bool:
        """Whether something is being computed."""
        return isinstance(self.report, Pending) or isinstance(self.worst, Pending)


def facts_shown(comparison: ComparisonTable) -> Facts:
    """Facts of the studies shown, with the columns that users have added.

    Raises:
        DataRootError: The index cannot be read.
    """
    added = list_added(settings(), comparison.truth.truth_id)
    places = _places(comparison.truth)
    signature = "" if places.studies_parquet is None else files_signature(places.studies_parquet)
    key = "|".join([comparison.evaluated.key, signature, *(one.import_id for one in added)])
    return _facts(key, comparison.evaluated, places, added)


def subgroup_results(
    comparison: ComparisonTable, name: str, thresholds: Thresholds, facts: Facts
) -> SubgroupResults:
    """Groups and worst parts of a model at its thresholds, computed in the background.

    Raises:
        CSpineError: They cannot be computed.
    """
    model = comparison.at_level(name)
    key = f"{model.key}|{thresholds}|{facts.key}"
    calls = partial(calls_of, comparison, name, thresholds)
    return SubgroupResults(
        deferred(f"subgroups|{key}", _with(measure_subgroups, calls, facts), items=_LATER),
        deferred(f"worst|{key}", _with(worst_parts, calls, facts), items=_LATER),
    )


def calls_of(comparison: ComparisonTable, name: str, thresholds: Thresholds) -> Calls:
    """The calls of a model at one or seven thresholds.

    Raises:
        PredictionsError: The level is not supported.
    """
    items, scores, threshold = threshold_scores(comparison.at_level(name), thresholds)
    by_vertebra = comparison.question.level == "vertebra"
    return Calls(items, scores >= threshold, by_vertebra=by_vertebra)


def only_group(
    comparison: ComparisonTable, items: LevelItems, conditions: Sequence[Condition]
) -> LevelItems:
    """The items that meet conditions; all of them without one.

    Raises:
        PredictionsError: There is no such column or group.
        DataRootError: The index cannot be read.
    """
    if not conditions:
        return items
    by_vertebra = comparison.question.level == "vertebra"
    attributes = facts_shown(comparison).attributes
    meets = items_of(attributes, conditions, items, by_vertebra=by_vertebra)
    return LevelItems(
        items.scores[meets], items.truth[meets], items.patients[meets], items.vertebrae[meets],
        items.slices[meets],
    )  # fmt: skip


def shown_attributes(view: EvaluationView, facts: Facts) -> list[Attribute]:
    """The attributes that the view names; all of them where it names none that is there."""
    chosen = [one for one in facts.attributes if one.key in view.subgroups]
    return chosen or list(facts.attributes)


def condition_text(facts: Facts, conditions: Sequence[Condition]) -> str:
    """Conditions by the titles of their columns."""
    titles = {one.key: one.title for one in facts.attributes}
    return " and ".join(condition_name(titles.get(c.attribute, c.attribute), c) for c in conditions)


def findings_now(comparison: ComparisonTable, view: EvaluationView) -> Findings | None:
    """Subgroups of the active model for the exports; None where they are not open or not ready."""
    if not view.subgroups:
        return None
    try:
        facts, name = facts_shown(comparison), comparison.focus(view)
        found = subgroup_results(comparison, name, comparison.thresholds(view, name), facts)
    except CSpineError:
        return None
    if isinstance(found.report, Pending) or isinstance(found.worst, Pending):
        return None
    return Findings(comparison.question.level, found.report, found.worst, facts.notes)


def _with(
    work: Callable[[Calls, Sequence[Attribute]], Any], calls: Callable[[], Calls], facts: Facts
) -> Callable[[], Any]:
    return lambda: work(calls(), facts.attributes)


def _places(truth: TruthSource) -> FactPlaces:
    if truth.root is None:
        return FactPlaces(cohort=truth.seed)
    table = index_folder(truth.root, settings().rsna_cache) / STUDIES_FILE
    return FactPlaces(table if table.is_file() else None, truth.root)


@st.cache_resource(max_entries=8, show_spinner="Reading what is known of the studies …")
def _facts(
    key: str, _evaluated: Evaluated, _places: FactPlaces, _added: Sequence[AddedColumns]
) -> Facts:
    truth = _evaluated.data.truth
    found, notes = known_attributes(truth, _places), list[str]()
    for added in _added:
        try:
            more, left_out = column_attributes(_columns(added), truth.study_ids)
        except CSpineError as error:
            left_out = [f"{added.name}: {error}"]
        else:
            found += _renamed(more, found)
        notes += left_out
    return Facts(key, tuple(without_doubles(found)), tuple(notes))


def _renamed(more: Sequence[Attribute], known: Sequence[Attribute]) -> list[Attribute]:
    """Attributes whose keys no known one has: two tables may have a column of the same name."""
    taken = {one.key for one in known}
    found: list[Attribute] = []
    for attribute in more:
        key, number = attribute.key, 2
        while key in taken:
            key, number = f"{attribute.key}.{number}", number + 1
        taken.add(key)
        found.append(replace(attribute, key=key))
    return found


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs={AddedColumns: repr})
def _columns(added: AddedColumns) -> ColumnTable:
    return read_added_columns(added.table)
