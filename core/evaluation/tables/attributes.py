"""Facts of studies that divide a cohort into groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from core.constants import N_VERTEBRAE
from core.errors import PredictionsError
from core.evaluation.arrays import frozen
from core.evaluation.tables.evaluation_set import LevelItems

AttributeSource = Literal["labels", "headers", "quality flags", "phantom", "added"]
MOST_GROUPS: Final = 20
"""More groups than this say little about each."""
FEW_VALUES: Final = 6
"""Numbers with at most so many distinct values are groups as they are."""
QUARTERS: Final = 4
HOLDS: Final = "yes"
"""The group of an attribute that either holds or not."""


@dataclass(frozen=True, slots=True, eq=False)
class Attribute:
    """One fact of n studies; a study of which it is not known is in no group.

    Attributes:
        key: Short name for links.
        title: Name for readers.
        source: Where it is from.
        groups: Names of the g groups, in the order of their values.
        members: bool (n, g), studies of each group; a study may be in several.
        of_vertebrae: bool (n, 7, g) where the fact belongs to single vertebrae; otherwise None.
        note: How numbers were divided; "" for names.
    """

    key: str
    title: str
    source: AttributeSource
    groups: tuple[str, ...]
    members: NDArray[np.bool_]
    of_vertebrae: NDArray[np.bool_] | None = None
    note: str = ""

    def take(self, places: NDArray[np.intp]) -> Attribute:
        """The attribute of the studies at `places` (k,)."""
        own = self.of_vertebrae
        return replace(
            self,
            members=self.members[places],
            of_vertebrae=None if own is None else own[places],
        )

    def place(self, group: str) -> int:
        """Index of a group.

        Raises:
            PredictionsError: There is no such group.
        """
        if group not in self.groups:
            raise PredictionsError(
                f"{self.title} has no such group in these studies; choose one of those listed."
            )
        return self.groups.index(group)

    def of_items(self, items: LevelItems, *, by_vertebra: bool) -> NDArray[np.bool_]:
        """Groups of each item, bool (m, g).

        Args:
            items: Scored items of the same studies.
            by_vertebra: Whether the items are vertebrae, so that facts of single ones count.
        """
        if by_vertebra and self.of_vertebrae is not None:
            return self.of_vertebrae[items.patients, items.vertebrae]
        return self.members[items.patients]


@dataclass(frozen=True, slots=True)
class Condition:
    """One group of one attribute.

    Attributes:
        attribute: Key of the attribute.
        group: Name of the group.
    """

    attribute: str
    group: str


def named(attributes: Sequence[Attribute], key: str) -> Attribute:
    """The attribute with a key.

    Raises:
        PredictionsError: There is none.
    """
    for attribute in attributes:
        if attribute.key == key:
            return attribute
    raise PredictionsError("There is no such column for these studies; choose one of those listed.")


def items_of(
    attributes: Sequence[Attribute],
    conditions: Sequence[Condition],
    items: LevelItems,
    *,
    by_vertebra: bool,
) -> NDArray[np.bool_]:
    """Items that meet all conditions, bool (m,).

    Raises:
        PredictionsError: There is no such attribute or group.
    """
    meets = np.ones(len(items.scores), np.bool_)
    for condition in conditions:
        attribute = named(attributes, condition.attribute)
        place = attribute.place(condition.group)
        meets &= attribute.of_items(items, by_vertebra=by_vertebra)[:, place]
    return meets


def from_names(key: str, title: str, source: AttributeSource, names: Sequence[str]) -> Attribute:
    """An attribute by name of each study's group; "" is not known.

    The largest groups are kept; where there are more than `MOST_GROUPS` the rest is one group.
    """
    cells = np.array(names, dtype=object)
    known, counts = np.unique(cells[cells != ""].astype(str), return_counts=True)
    groups, note = list(known), ""
    if len(groups) > MOST_GROUPS:
        kept = np.sort(np.argsort(-counts, kind="stable")[: MOST_GROUPS - 1])
        groups, note = [str(known[k]) for k in kept], f"the {MOST_GROUPS - 1} largest groups"
    members = np.stack([cells == name for name in groups], axis=1) if groups else _none(len(cells))
    if note:
        rest = (cells != "") & ~members.any(axis=1)
        groups, members = [*groups, "all others"], np.column_stack([members, rest])
    return Attribute(key, title, source, tuple(map(str, groups)), frozen(members), note=note)


def from_numbers(
    key: str,
    title: str,
    source: AttributeSource,
    values: NDArray[np.float64],
    *,
    limits: Sequence[float] = (),
    unit: str = "",
) -> Attribute:
    """An attribute by number of each study; NaN is not known.

    Args:
        key: Short name.
        title: Name for readers.
        source: Where it is from.
        values: float64 (n,).
        limits: Rising limits of the groups, each the largest value of its group; without them
            few distinct values are groups as they are, and many are divided at their quartiles.
        unit: Unit of the values.
    """
    known = values[np.isfinite(values)]
    unit = f" {unit}" if unit else ""
    distinct = np.unique(known)
    note = "groups by fixed limits"
    if not limits and len(distinct) <= FEW_VALUES:
        names = [f"{value:g}{unit}" if np.isfinite(value) else "" for value in values]
        groups = [f"{value:g}{unit}" for value in distinct]
        members = [np.array(names, dtype=object) == name for name in groups]
        return _of_columns(key, title, source, groups, members, len(values), "")
    if not limits:
        quantiles = np.linspace(0, 1, QUARTERS + 1)[1:-1]
        limits = [float(f"{edge:.4g}") for edge in np.unique(np.quantile(known, quantiles))]
        note = "groups by quartiles"
    edges = [-np.inf, *limits, np.inf]
    groups, members = [], []
    for low, high in pairwise(edges):
        inside = (values > low) & (values <= high)
        if inside.any():
            groups.append(_between(low, high, unit))
            members.append(inside)
    return _of_columns(key, title, source, groups, members, len(values), note)


def from_flag(key: str, title: str, source: AttributeSource, holds: NDArray[np.bool_]) -> Attribute:
    """An attribute of one group, the studies of which something holds, bool (n,)."""
    return Attribute(key, title, source, (HOLDS,), frozen(holds[:, None]))


def from_vertebrae(
    key: str, title: str, source: AttributeSource, names: NDArray[np.object_], groups: Sequence[str]
) -> Attribute:
    """An attribute of single vertebrae; a study is in the groups of all its vertebrae.

    Args:
        key: Short name.
        title: Name for readers.
        source: Where it is from.
        names: object (n, 7), name of each vertebra's group; "" is not known.
        groups: Names of the groups, in order; those that do not occur are left out.
    """
    found = [group for group in groups if bool((names == group).any())]
    own = (
        np.stack([names == group for group in found], axis=2)
        if found
        else np.zeros((len(names), N_VERTEBRAE, 0), np.bool_)
    )
    members = np.asarray(own.any(axis=1))
    return Attribute(key, title, source, tuple(found), frozen(members), frozen(own))


def _of_columns(
    key: str, title: str, source: AttributeSource, groups: Sequence[str],
    members: Sequence[NDArray[np.bool_]], n: int, note: str,
) -> Attribute:  # fmt: skip
    table = np.stack(members, axis=1) if members else _none(n)
    return Attribute(key, title, source, tuple(groups), frozen(table), note=note)


def _none(n: int) -> NDArray[np.bool_]:
    return np.zeros((n, 0), np.bool_)


def _between(low: float, high: float, unit: str) -> str:
    if low == -np.inf:
        return f"up to {high:g}{unit}"
    return f"above {low:g}{unit}" if high == np.inf else f"{low:g} to {high:g}{unit}"
