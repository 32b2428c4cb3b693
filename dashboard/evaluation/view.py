"""The choices of the Evaluation page as one value, and as a link."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, get_args

from core.constants import N_VERTEBRAE, VERTEBRAE
from core.dataset.quality import FLAGS
from core.evaluation.subgroups import MEASURES, Measure
from core.evaluation.tables.attributes import Condition
from core.evaluation.wrong_calls import ErrorKind
from core.inference.aggregation import POOLINGS, Pooling
from core.models.ensemble_recipe import METHODS, EnsembleMethod
from core.types import LevelName
from dashboard.evaluation.view_groups import read_conditions, read_keys, write_conditions

RuleName = Literal["f1", "youden", "sensitivity", "specificity", "cost", "limits", "bundle"]
RULES: Final[tuple[RuleName, ...]] = get_args(RuleName)
LEVELS: Final[tuple[LevelName, ...]] = ("patient", "vertebra", "slice", "presence")
Definition = Literal["visible", "boxed"]

Thresholds = tuple[float, ...]
"""One value for all items, or seven for C1..C7."""

MOST_KEPT: Final = 6
_LONGEST_NAME: Final = 24


@dataclass(frozen=True, slots=True)
class KeptSetting:
    """A setting that the user keeps to compare others with.

    Attributes:
        name: Letters, digits, spaces, dots and hyphens.
        level: Level of the thresholds.
        model: Id of the model.
        thresholds: Its thresholds.
    """

    name: str
    level: LevelName
    model: str
    thresholds: Thresholds

    def __str__(self) -> str:
        """As in a link."""
        return f"{self.name}*{self.level}*{self.model}*{'_'.join(map(repr, self.thresholds))}"


def plain_name(text: str) -> str:
    """A name for a setting that can stand in a link."""
    kept = "".join(c for c in text if c.isalnum() or c in " .-")
    return " ".join(kept[:_LONGEST_NAME].split())


@dataclass(frozen=True, slots=True)
class EvaluationView:
    """The user's choices; every field has a place in the URL.

    Attributes:
        data: Id of the truth; "" for the first one.
        models: Ids of the models; () for the page's default.
        ensemble: How the models are combined into one more; "" does not combine them.
        weights: Weights of the models by id, set by hand; () fits them.
        level: Level of the evaluation.
        definition: Definition of slice truth: a fractured vertebra is visible, or there is a box.
        pooling: How p_j is pooled over slices.
        vertebra: Keep studies where this one is fractured, and unfractured ones; "" keeps all.
        fold: Keep the studies of this fold; None keeps all.
        spacing: Keep studies with a slice distance in this range, mm; None keeps all.
        without: Leave out studies with one of these quality flags.
        rule: Threshold rule, used until the user moves a threshold.
        target: Sensitivity or specificity to reach, or the cost of a missed fracture in false
            alarms.
        least_recall: For the rule "limits", least sensitivity.
        least_precision: For the same rule.
        most_alarms: For the same rule, false alarms per 100 studies; None for no limit.
        same_data: Choose thresholds on the data shown instead of other data.
        by_vertebra: One threshold for each of C1..C7 instead of one for all.
        focus: Id of the active model, whose threshold the sliders move; "" for the one with the
            highest AUC at the level.
        moved: Thresholds that the user has moved, by model id.
        kept: Settings that the user keeps, the first to be compared with the others.
        prevalence: For PPV and NPV, in (0, 1); None takes that of the data.
        errors: Kind of errors in the gallery.
        subgroups: Keys of the attributes whose groups are compared, `EVERY` for all; () hides them.
        measure: Figure of the groups.
        group: Conditions that the errors in the gallery meet; () shows all.
    """

    data: str = ""
    models: tuple[str, ...] = ()
    ensemble: EnsembleMethod | Literal[""] = ""
    weights: tuple[tuple[str, float], ...] = ()
    level: LevelName = "patient"
    definition: Definition = "visible"
    pooling: Pooling = "mean"
    vertebra: str = ""
    fold: int | None = None
    spacing: tuple[float, float] | None = None
    without: tuple[str, ...] = ()
    rule: RuleName = "f1"
    target: float = 0.95
    least_recall: float = 0.9
    least_precision: float = 0.5
    most_alarms: float | None = None
    same_data: bool = False
    by_vertebra: bool = False
    focus: str = ""
    moved: tuple[tuple[str, Thresholds], ...] = ()
    kept: tuple[KeptSetting, ...] = ()
    prevalence: float | None = None
    errors: ErrorKind = "missed"
    subgroups: tuple[str, ...] = ()
    measure: Measure = "error"
    group: tuple[Condition, ...] = ()

    def moved_of(self, model: str) -> Thresholds | None:
        """Thresholds that the user has moved for a model; None for those of the rule."""
        return dict(self.moved).get(model)

    def with_moved(self, model: str, thresholds: Thresholds) -> EvaluationView:
        """The view after the user has moved a model's thresholds."""
        moved = {**dict(self.moved), model: thresholds}
        return replace(self, moved=tuple(sorted(moved.items())))


VIEW_FIELDS: Final = tuple(field.name for field in fields(EvaluationView))
"""Query parameters of the page."""


def to_query(view: EvaluationView) -> dict[str, str]:
    """The view as query parameters; defaults are left out."""
    plain = EvaluationView()
    query: dict[str, str] = {}
    for field in fields(EvaluationView):
        value = getattr(view, field.name)
        if value != getattr(plain, field.name):
            query[field.name] = _WRITE.get(field.name, str)(value)
    return query


def from_query(query: Mapping[str, str]) -> EvaluationView:
    """The view that query parameters name; an invalid value gives the default."""
    found: dict[str, Any] = {}
    for field in fields(EvaluationView):
        text = query.get(field.name)
        value = None if text is None else READ[field.name](text)
        if value is not None:
            found[field.name] = value
    return EvaluationView(**found)


def _list(values: tuple[str, ...]) -> str:
    return ",".join(values)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _positive(text: str) -> float | None:
    value = _number(text)
    return value if value is not None and value > 0 else None


def _share(text: str) -> float | None:
    value = _number(text)
    return value if value is not None and 0 < value < 1 else None


def _share_or_end(text: str) -> float | None:
    value = _number(text)
    return value if value is not None and 0 <= value <= 1 else None


def _fold(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 4 else None


def _spacing(text: str) -> tuple[float, float] | None:
    low, separator, high = text.partition("..")
    ends = (_number(low), _number(high))
    if not separator or ends[0] is None or ends[1] is None or not 0 <= ends[0] <= ends[1]:
        return None
    return ends[0], ends[1]


def _strings(text: str) -> tuple[str, ...] | None:
    return tuple(dict.fromkeys(part for part in text.split(",") if part)) or None


def _flags(text: str) -> tuple[str, ...] | None:
    found = _strings(text)
    return found if found and set(found) <= {flag.column for flag in FLAGS} else None


def _write_moved(moved: tuple[tuple[str, Thresholds], ...]) -> str:
    return ",".join(f"{model}*{'_'.join(map(repr, values))}" for model, values in moved)


def _moved(text: str) -> tuple[tuple[str, Thresholds], ...] | None:
    found: dict[str, Thresholds] = {}
    for part in text.split(","):
        model, _, values = part.rpartition("*")
        numbers = [_number(value) for value in values.split("_")]
        known = tuple(n for n in numbers if n is not None and 0 <= n <= 1)
        if not model or len(known) != len(numbers) or len(known) not in (1, N_VERTEBRAE):
            return None
        found[model] = known
    return tuple(sorted(found.items()))


def _weights(text: str) -> tuple[tuple[str, float], ...] | None:
    found: dict[str, float] = {}
    for part in text.split(","):
        model, _, value = part.rpartition("*")
        weight = _share_or_end(value)
        if not model or weight is None:
            return None
        found[model] = weight
    return tuple(sorted(found.items()))


def _kept(text: str) -> tuple[KeptSetting, ...] | None:
    found: list[KeptSetting] = []
    for part in text.split(","):
        name, _, rest = part.partition("*")
        level, _, rest = rest.partition("*")
        moved = _moved(rest)
        if level not in LEVELS or moved is None or name != plain_name(name) or not name:
            return None
        found.append(KeptSetting(name, level, *moved[0]))
    names = {one.name for one in found}
    return tuple(found) if len(names) == len(found) <= MOST_KEPT else None


def _one_of(allowed: tuple[str, ...]) -> Callable[[str], str | None]:
    return lambda text: text if text in allowed else None


def _yes(text: str) -> bool | None:
    return True if text == "1" else None


_WRITE: Final[dict[str, Callable[[Any], str]]] = {
    "models": _list,
    "weights": lambda weights: ",".join(f"{model}*{weight!r}" for model, weight in weights),
    "without": _list,
    "spacing": lambda ends: f"{ends[0]!r}..{ends[1]!r}",
    "target": repr,
    "least_recall": repr,
    "least_precision": repr,
    "most_alarms": repr,
    "prevalence": repr,
    "same_data": lambda _: "1",
    "by_vertebra": lambda _: "1",
    "moved": _write_moved,
    "kept": lambda kept: ",".join(map(str, kept)),
    "subgroups": _list,
    "group": write_conditions,
}
READ: Final[dict[str, Callable[[str], Any]]] = {
    "data": lambda text: text or None,
    "models": _strings,
    "ensemble": _one_of(METHODS),
    "weights": _weights,
    "level": _one_of(LEVELS),
    "definition": _one_of(get_args(Definition)),
    "pooling": _one_of(POOLINGS),
    "vertebra": _one_of(VERTEBRAE),
    "fold": _fold,
    "spacing": _spacing,
    "without": _flags,
    "rule": _one_of(RULES),
    "target": _positive,
    "least_recall": _share_or_end,
    "least_precision": _share_or_end,
    "most_alarms": _positive,
    "same_data": _yes,
    "by_vertebra": _yes,
    "focus": lambda text: text or None,
    "moved": _moved,
    "kept": _kept,
    "prevalence": _share,
    "errors": _one_of(get_args(ErrorKind)),
    "subgroups": read_keys,
    "measure": _one_of(MEASURES),
    "group": read_conditions,
}
"""Reader of each field from its query parameter; None for a wrong value."""

KNOWN: Final[dict[str, str]] = {
    "data": "there is no such data",
    "models": "it names no model",
    "ensemble": f"the methods are {', '.join(METHODS)}",
    "weights": "weights are model*0.5, from 0 to 1, with commas between them",
    "level": f"the levels are {', '.join(LEVELS)}",
    "definition": f"the definitions are {', '.join(get_args(Definition))}",
    "pooling": f"the poolings are {', '.join(POOLINGS)}",
    "vertebra": "the vertebrae are C1 to C7",
    "fold": "a fold is a number",
    "spacing": "a range is two numbers of mm, the lower first, as in 0.5..1.5",
    "without": f"the flags are {', '.join(flag.column for flag in FLAGS)}",
    "rule": f"the rules are {', '.join(RULES)}",
    "target": "a target is a number above 0",
    "least_recall": "a sensitivity is a number from 0 to 1",
    "least_precision": "a precision is a number from 0 to 1",
    "most_alarms": "a limit on false alarms is a number above 0",
    "same_data": "only 1 chooses on the studies shown",
    "by_vertebra": "only 1 sets one threshold per vertebra",
    "focus": "there is no such model",
    "moved": "thresholds are model*0.5, from 0 to 1, one or seven with _ between them",
    "kept": "settings are name*level*model*0.5, at most six, with commas between them",
    "prevalence": "a prevalence is above 0 and below 1",
    "errors": f"the kinds are {', '.join(get_args(ErrorKind))}",
    "subgroups": "it names columns, or all of them by all",
    "measure": f"the figures are {', '.join(MEASURES)}",
    "group": "groups are column*group, at most two, with a comma between them",
}
"""What there is, for a wrong value of each query parameter."""
