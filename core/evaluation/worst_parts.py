"""Search for the parts of the data with the most wrong calls, by one or two facts at once.

SliceLine (Sagadeeva and Boehm, 2021) scores a part S of n units with errors e as

    alpha ((mean of e in S / mean of e) - 1) - (1 - alpha) (n / size of S - 1),

high for parts that are both bad and large, and prunes the search by the size and by bounds on the
score. A wrong call counts by the inverse of the error rate among items of the same truth: otherwise
"fractured" would be the worst part wherever misses are more frequent than false alarms. The
`sliceline` package searches; a permutation test over all the parts that the search could
have named says which of the found ones are more than chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.evaluation.permutation import largest_p_values
from core.evaluation.subgroups import (
    ALPHA,
    Calls,
    class_rates,
    is_single,
    unit_members,
    units_of,
)
from core.evaluation.tables.attributes import Attribute, Condition
from core.types import FloatArray

WEIGHT: Final = 0.95
"""alpha: weight of the error against the size, as in the paper's experiments."""
MOST_CONDITIONS: Final = 2
SMALLEST_PART: Final = 20
SMALLEST_SHARE: Final = 0.01
"""A part has at least so many units and so large a share of them; the paper takes 1 %."""
PERMUTATIONS: Final = 999
_MOST_ASKED: Final = 4_096


@dataclass(frozen=True, slots=True)
class WorstPart:
    """A part of the data.

    Attributes:
        conditions: One or two groups that its units are all in.
        titles: Names of their attributes.
        units: Number of studies, or of vertebrae where every condition is on single vertebrae.
        error_rate: Share of wrong calls, mean over units.
        score: SliceLine's score.
        adjusted_p: Family-wise p-value of having more errors than chance.
    """

    conditions: tuple[Condition, ...]
    titles: tuple[str, ...]
    units: int
    error_rate: float
    score: float
    adjusted_p: float

    @property
    def weakness(self) -> bool:
        """Whether it has more errors than the rest, by more than chance."""
        return self.adjusted_p < ALPHA


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """One group: its place among attributes, its units, and whether it is of single vertebrae."""

    condition: Condition
    title: str
    attribute: int
    members: NDArray[np.bool_]
    single: bool


def worst_parts(
    calls: Calls,
    attributes: Sequence[Attribute],
    *,
    at_most: int = 10,
    smallest: int | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> tuple[WorstPart, ...]:
    """Find the parts with the highest scores, the highest first.

    Units are the studies, each with the mean error of its items; for single vertebrae the units are
    the vertebrae.

    Args:
        calls: Items and calls.
        attributes: Facts of the same studies.
        at_most: Number of parts.
        smallest: Least number of units; by default the larger of `SMALLEST_PART` and
            `SMALLEST_SHARE` of them.
        permutations: Of the test.
        seed: Of the test.

    Returns:
        Parts with a score above 0; none where nothing is wrong or no group is large enough.
    """
    single = calls.by_vertebra
    errors = _by_unit(calls, weighted_errors(calls), single=single)
    wrong = _by_unit(calls, calls.wrong, single=single)
    least = smallest or max(SMALLEST_PART, int(np.ceil(SMALLEST_SHARE * len(errors))))
    columns = [one for one in _columns(calls, attributes) if one.members.sum() >= least]
    if not columns or not errors.any():
        return ()
    found = _search(columns, errors, least, at_most)
    p_values = _p_values(calls, columns, found, least, permutations, seed)
    return tuple(
        WorstPart(
            conditions=tuple(columns[k].condition for k in places),
            titles=tuple(columns[k].title for k in places),
            units=int(_inside(columns, places).sum()),
            error_rate=float(wrong[_inside(columns, places)].mean()),
            score=score,
            adjusted_p=p_value,
        )
        for (places, score), p_value in zip(found, p_values, strict=True)
    )


def weighted_errors(calls: Calls) -> FloatArray:
    """Errors of the items, float64 (m,), with the mean 1 among positives and among negatives.

    0 throughout a class without a wrong call.
    """
    rates = class_rates(calls)[calls.items.truth.astype(np.intp)]
    return np.divide(calls.wrong, rates, out=np.zeros(len(rates)), where=rates > 0)


def _by_unit(calls: Calls, values: NDArray[Any], *, single: bool) -> FloatArray:
    """Mean of the items' values of each unit, float64 (u,)."""
    if single:
        return values.astype(np.float64)
    _, places = np.unique(calls.items.patients, return_inverse=True)
    return np.bincount(places, values) / np.bincount(places)


def _columns(calls: Calls, attributes: Sequence[Attribute]) -> Iterator[_Column]:
    for number, attribute in enumerate(attributes):
        members, single = unit_members(calls, attribute), is_single(calls, attribute)
        if calls.by_vertebra and not single:
            members = members[calls.items.patients]
        for k, group in enumerate(attribute.groups):
            condition = Condition(attribute.key, group)
            yield _Column(condition, attribute.title, number, members[:, k], single)


def _search(
    columns: Sequence[_Column], errors: FloatArray, least: int, at_most: int
) -> list[tuple[tuple[int, ...], float]]:
    """Places of the conditions and score of the best parts.

    Parts with the condition that a study is in none of an attribute's groups are passed over, so
    more are asked for until enough are left.
    """
    from sliceline.slicefinder import Slicefinder

    codes, meanings = _coded(columns)
    asked = at_most
    while True:
        finder = Slicefinder(
            alpha=WEIGHT, k=asked, max_l=MOST_CONDITIONS, min_sup=least, verbose=False
        )
        finder.fit(codes, errors)
        scores = [float(one["slice_score"]) for one in finder.top_slices_statistics_ or ()]
        top: NDArray[Any] = np.asarray(finder.top_slices_, dtype=object)
        rows = top.reshape(len(scores), len(meanings))
        named = [_places(row, meanings) for row in rows]
        found = [
            (places, score)
            for places, score in zip(named, scores, strict=True)
            if places is not None and _differ(columns, places)
        ]
        if len(found) >= at_most or len(scores) < asked or asked >= _MOST_ASKED:
            return found[:at_most]
        asked *= 4


def _coded(columns: Sequence[_Column]) -> tuple[NDArray[np.int64], list[dict[int, int]]]:
    """Values (u, c) for the search, and by column the group that each value means.

    An attribute is one column, or one per group where a study may be in several; 0 is none.
    """
    values: list[NDArray[np.int64]] = []
    meanings: list[dict[int, int]] = []
    for number in dict.fromkeys(one.attribute for one in columns):
        places = [k for k, one in enumerate(columns) if one.attribute == number]
        members = np.stack([columns[k].members for k in places], axis=1)
        if members.sum(axis=1).max() <= 1:
            values.append(members @ np.arange(1, len(places) + 1))
            meanings.append(dict(enumerate(places, start=1)))
        else:
            values += list(members.T.astype(np.int64))
            meanings += [{1: place} for place in places]
    return np.stack(values, axis=1), meanings


def _places(row: NDArray[Any], meanings: Sequence[dict[int, int]]) -> tuple[int, ...] | None:
    """Groups that a part is in; None where one of its conditions is to be in none."""
    named = [
        meaning.get(int(value))
        for value, meaning in zip(row, meanings, strict=True)
        if value is not None
    ]
    known = tuple(sorted(place for place in named if place is not None))
    return known if len(known) == len(named) else None


def _differ(columns: Sequence[_Column], places: tuple[int, ...]) -> bool:
    """Whether the conditions are on different attributes."""
    return len({columns[k].attribute for k in places}) == len(places)


def _inside(columns: Sequence[_Column], places: Sequence[int]) -> NDArray[np.bool_]:
    return np.logical_and.reduce([columns[k].members for k in places])


def _p_values(
    calls: Calls, columns: Sequence[_Column], found: Sequence[tuple[tuple[int, ...], float]],
    least: int, permutations: int, seed: int,
) -> list[float]:  # fmt: skip
    """p-value of each part found, among all parts that are large enough.

    Parts by facts of studies exchange whole studies, as the calls on one patient are not
    independent; the others hold about one vertebra per patient and exchange vertebrae. Where there
    are both, each family gets half of the error (Bonferroni).
    """
    if not found:
        return []
    every: list[tuple[int, ...]] = [(k,) for k in range(len(columns))]
    every += [pair for pair in combinations(range(len(columns)), 2) if _differ(columns, pair)]
    large = [places for places in every if _inside(columns, places).sum() >= least]
    families = [
        (single, [p for p in large if any(columns[k].single for k in p) == single])
        for single in (False, True)
    ]
    families = [family for family in families if family[1]]
    p_values: dict[tuple[int, ...], float] = {}
    for single, parts in families:
        members = np.stack([_inside(columns, places) for places in parts], axis=1)
        if calls.by_vertebra and not single:
            members = members[np.unique(calls.items.patients, return_index=True)[1]]
        own = largest_p_values(
            units_of(calls, single=single), members, permutations=permutations,
            seed=seed,
        )  # fmt: skip
        p_values |= dict(zip(parts, np.minimum(own * len(families), 1.0).tolist(), strict=True))
    return [p_values[places] for places, _ in found]
