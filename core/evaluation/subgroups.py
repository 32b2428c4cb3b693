"""Subgroups of the studies: how a model does on each, and whether it does worse than on the rest.

Every figure counts at the threshold in use. The test compares numbers of wrong calls among items of
the same truth: a group does not stand out because more of its studies are fractured. p-values are
those of a permutation test, corrected by Holm over all groups of all attributes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from core.errors import PredictionsError
from core.evaluation.comparison import holm
from core.evaluation.confusion import ConfusionCounts
from core.evaluation.delong import auc_estimate
from core.evaluation.estimates import Estimate, clustered_share
from core.evaluation.permutation import Units, permutation_p_values
from core.evaluation.tables.attributes import Attribute, Condition
from core.evaluation.tables.evaluation_set import LevelItems
from core.types import FloatArray

Measure = Literal["error", "sensitivity", "specificity", "auc"]
MEASURES: Final[tuple[Measure, ...]] = get_args(Measure)
FEWEST_STUDIES: Final = 10
"""Smaller groups are listed without figures."""
PERMUTATIONS: Final = 9_999
ALPHA: Final = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Calls:
    """A model's calls on the items of one level.

    Attributes:
        items: Scored items.
        called: bool (m,), whether each score reaches its threshold.
        by_vertebra: Whether the items are single vertebrae.
    """

    items: LevelItems
    called: NDArray[np.bool_]
    by_vertebra: bool

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Whether each call is wrong, bool (m,)."""
        return self.called != self.items.truth


@dataclass(frozen=True, slots=True)
class Subgroup:
    """A model on one group of items.

    Attributes:
        condition: The group; its attribute is "" for all items together.
        title: Name of the attribute.
        source: Where the attribute is from.
        studies: Number of studies.
        counts: Calls against truth.
        estimates: Figures with 95 % intervals; None where one is not defined.
        expected_error: Error rate of the rest, for the group's mix of positives and negatives;
            None where the rest lacks one of them.
        p_value: Of the difference; None where it is not tested.
        adjusted_p: The same after Holm's correction over all groups that are tested.
        enough: Whether the group and the rest have enough studies for figures.
    """

    condition: Condition
    title: str
    source: str
    studies: int
    counts: ConfusionCounts
    estimates: Mapping[Measure, Estimate | None]
    expected_error: float | None = None
    p_value: float | None = None
    adjusted_p: float | None = None
    enough: bool = True

    @property
    def error_rate(self) -> float:
        """Share of wrong calls."""
        wrong = self.counts.false_positives + self.counts.false_negatives
        return wrong / self.counts.n if self.counts.n else 0.0

    @property
    def difference(self) -> float | None:
        """Error rate less the expected one; above 0 is worse than the rest."""
        return None if self.expected_error is None else self.error_rate - self.expected_error

    @property
    def weakness(self) -> bool:
        """Whether the group has more errors than the rest, by more than chance."""
        return self._differs and (self.difference or 0.0) > 0

    @property
    def strength(self) -> bool:
        """Whether the group has fewer errors than the rest, by more than chance."""
        return self._differs and (self.difference or 0.0) < 0

    @property
    def _differs(self) -> bool:
        return self.adjusted_p is not None and self.adjusted_p < ALPHA


@dataclass(frozen=True, slots=True)
class SubgroupReport:
    """All groups of a cohort.

    Attributes:
        overall: All items together.
        groups: The groups, the strongest evidence of more errors first, those with too few studies
            last.
        tested: Number of groups in the family of Holm's correction.
    """

    overall: Subgroup
    groups: tuple[Subgroup, ...]
    tested: int


def measure_subgroups(
    calls: Calls,
    attributes: Sequence[Attribute],
    *,
    fewest: int = FEWEST_STUDIES,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> SubgroupReport:
    """Measure a model on every group of every attribute.

    Args:
        calls: Items and calls.
        attributes: Facts of the same studies.
        fewest: Groups with fewer studies, or that leave fewer, get no figures.
        permutations: Of the test.
        seed: Of the test.

    Raises:
        PredictionsError: There is no item.
    """
    if not len(calls.called):
        raise PredictionsError("There is no item to divide into subgroups; widen the filters.")
    everything = np.ones(len(calls.called), np.bool_)
    overall = _measured(calls, everything, Condition("", ""), "All", "")
    found: list[Subgroup] = []
    for attribute in attributes:
        found += _of_attribute(calls, attribute, fewest)
    p_values = _p_values(calls, attributes, found, permutations, seed)
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    found = [
        replace(one, p_value=p_values.get(k), adjusted_p=adjusted.get(k))
        for k, one in enumerate(found)
    ]
    return SubgroupReport(overall, tuple(sorted(found, key=_evidence)), len(p_values))


def units_of(calls: Calls, *, single: bool) -> Units:
    """What the tests exchange: studies with an item, in their order, or the items themselves.

    Studies with and without a positive item are exchanged among themselves, so are positive and
    negative items. Vertebrae of one patient are exchanged with those of others: a group that takes
    one vertebra of each patient then varies less than assumed, which errs on the safe side.

    Args:
        calls: Items and calls.
        single: Whether each item is a unit, for facts of single vertebrae.
    """
    items, wrong = calls.items, calls.wrong.astype(np.float64)
    residuals = wrong - class_rates(calls)[items.truth.astype(np.intp)]
    if single:
        return Units(residuals, items.truth.astype(np.intp))
    _, places = np.unique(items.patients, return_inverse=True)
    positive = np.bincount(places, items.truth) > 0
    summed = np.bincount(places, residuals).astype(np.float64)
    return Units(summed, positive.astype(np.intp))


def class_rates(calls: Calls) -> FloatArray:
    """Error rate of the negative and of the positive items, (2,); 0 without any."""
    truth, wrong = calls.items.truth.astype(np.intp), calls.wrong
    counts = np.bincount(truth, minlength=2)
    return np.bincount(truth, wrong, minlength=2) / np.maximum(counts, 1)


def is_single(calls: Calls, attribute: Attribute) -> bool:
    """Whether an attribute divides single vertebrae at the level of the calls."""
    return calls.by_vertebra and attribute.of_vertebrae is not None


def unit_members(calls: Calls, attribute: Attribute) -> NDArray[np.bool_]:
    """Groups of each unit of `units_of`, bool (u, g)."""
    if is_single(calls, attribute):
        return attribute.of_items(calls.items, by_vertebra=True)
    return attribute.members[np.unique(calls.items.patients)]


def _of_attribute(calls: Calls, attribute: Attribute, fewest: int) -> list[Subgroup]:
    groups = attribute.of_items(calls.items, by_vertebra=calls.by_vertebra)
    patients = calls.items.patients
    found: list[Subgroup] = []
    for k, name in enumerate(attribute.groups):
        inside, condition = groups[:, k], Condition(attribute.key, name)
        studies = _n_studies(patients[inside])
        if min(studies, _n_studies(patients[~inside])) < fewest:
            few = Subgroup(
                condition, attribute.title, attribute.source, studies,
                _counts(calls, inside), dict.fromkeys(MEASURES), enough=False,
            )  # fmt: skip
            found.append(few)
            continue
        one = _measured(calls, inside, condition, attribute.title, attribute.source)
        found.append(replace(one, expected_error=_expected(calls, inside)))
    return found


def _measured(
    calls: Calls, inside: NDArray[np.bool_], condition: Condition, title: str, source: str
) -> Subgroup:
    items = calls.items
    truth, called, patients = items.truth[inside], calls.called[inside], items.patients[inside]
    estimates: dict[Measure, Estimate | None] = {
        "error": clustered_share(called != truth, patients),
        "sensitivity": clustered_share(called[truth], patients[truth]),
        "specificity": clustered_share(~called[~truth], patients[~truth]),
        "auc": auc_estimate(items.scores[inside], truth, patients),
    }
    studies = _n_studies(patients)
    return Subgroup(condition, title, source, studies, _counts(calls, inside), estimates)


def _n_studies(patients: NDArray[np.int64]) -> int:
    return int((np.bincount(patients) > 0).sum())


def _counts(calls: Calls, inside: NDArray[np.bool_]) -> ConfusionCounts:
    truth, called = calls.items.truth[inside], calls.called[inside]
    return ConfusionCounts(
        int((truth & called).sum()), int((~truth & called).sum()),
        int((~truth & ~called).sum()), int((truth & ~called).sum()),
    )  # fmt: skip


def _expected(calls: Calls, inside: NDArray[np.bool_]) -> float | None:
    """Error rate of the rest for the group's mix of positives and negatives."""
    rest, total = _counts(calls, ~inside), 0.0
    own = _counts(calls, inside)
    for n, wrong, n_rest in (
        (own.n_positive, rest.false_negatives, rest.n_positive),
        (own.n_negative, rest.false_positives, rest.n_negative),
    ):
        if n and not n_rest:
            return None
        total += n * wrong / n_rest if n else 0.0
    return total / own.n if own.n else None


def _p_values(
    calls: Calls, attributes: Sequence[Attribute], found: Sequence[Subgroup],
    permutations: int, seed: int,
) -> dict[int, float]:  # fmt: skip
    """p-values by place in `found`, of the groups that are tested."""
    tested = {k for k, one in enumerate(found) if one.enough and one.difference is not None}
    columns: dict[bool, list[NDArray[np.bool_]]] = {False: [], True: []}
    places: dict[bool, list[int]] = {False: [], True: []}
    first = 0
    for attribute in attributes:
        single, members = is_single(calls, attribute), unit_members(calls, attribute)
        for k in range(len(attribute.groups)):
            if first + k in tested:
                columns[single].append(members[:, k])
                places[single].append(first + k)
        first += len(attribute.groups)
    p_values: dict[int, float] = {}
    for single in (False, True):
        if columns[single]:
            found_p = permutation_p_values(
                units_of(calls, single=single), np.stack(columns[single], axis=1),
                permutations=permutations, seed=seed,
            )  # fmt: skip
            p_values |= dict(zip(places[single], found_p.tolist(), strict=True))
    return dict(sorted(p_values.items()))


def _evidence(one: Subgroup) -> tuple[bool, float, float]:
    """Sort key: the strongest evidence of more errors first, that of fewer last."""
    if one.difference is None or one.p_value is None:
        return not one.enough, 0.0, 0.0
    worse = 1 if one.difference > 0 else -1
    return False, worse * math.log(one.p_value), -one.difference
