"""Data of the Evaluation page, gathered once per page run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.constants import VERTEBRAE
from core.errors import CSpineError, PredictionsError
from core.evaluation.thresholds import OperatingPoint
from core.models.bundles import with_team_points
from core.models.operating_points import has_operating_point, operating_point
from core.models.pairs import vertebra_for
from dashboard.evaluation.charts.roc_pr import DrawnCurve
from dashboard.evaluation.ensemble import ShownEnsemble, combined
from dashboard.evaluation.results import (
    Evaluated,
    ModelAtLevel,
    Question,
    curve,
    drawn_points,
    load,
    load_other,
    question_of,
    supported,
    vertebra_curves,
)
from dashboard.evaluation.sources import (
    ENSEMBLE_NAME,
    PredictionSource,
    Sources,
    TruthSource,
)
from dashboard.evaluation.threshold_counts import ChosenThresholds, choose, rule_of
from dashboard.evaluation.view import EvaluationView, Thresholds
from dashboard.session.settings import settings
from dashboard.studies.cohort import bundle_key
from dashboard.widgets.palette import ENSEMBLE_STYLE, ModelStyle, model_styles


@dataclass(frozen=True, slots=True, eq=False)
class ComparisonTable:
    """The models and studies shown.

    Attributes:
        truth: Truth of the studies.
        evaluated: Models and truth of the studies.
        question: Level and definition of truth.
        models: Models that have this level, by name.
        styles: Style of every available model, by name.
        chosen: Thresholds of the rule, by name; absent where it could not choose.
        problems: Sentences about missing levels and thresholds.
        ensemble: The ensemble among the models; None without one.
    """

    truth: TruthSource
    evaluated: Evaluated
    question: Question
    models: Mapping[str, PredictionSource]
    styles: Mapping[str, ModelStyle]
    chosen: Mapping[str, ChosenThresholds]
    problems: tuple[str, ...]
    ensemble: ShownEnsemble | None = None

    @property
    def notes(self) -> list[str]:
        """Sentences about studies and thresholds that are missing."""
        coverage = self.evaluated.data.coverage
        return [*(s for one in coverage for s in one.sentences()), *self.problems]

    @property
    def names(self) -> list[str]:
        """Names of the models, in the order chosen."""
        return list(self.models)

    def at_level(self, name: str) -> ModelAtLevel:
        """A model on the studies shown, at the level of the question."""
        return ModelAtLevel(self.evaluated, name, self.question)

    def thresholds(self, view: EvaluationView, name: str) -> Thresholds:
        """Thresholds moved by the user, otherwise those of the rule, otherwise 0.5."""
        moved = view.moved_of(self.models[name].source_id)
        expected = 7 if by_vertebra(view, self.question) else 1
        if moved is not None and len(moved) == expected:
            return moved
        return self.chosen[name].values if name in self.chosen else (0.5,) * expected

    def focus(self, view: EvaluationView) -> str:
        """Name of the active model, whose threshold the sliders move.

        Without a choice of the user it is the model with the highest AUC at this level, the first
        of equals.
        """
        for name, model in self.models.items():
            if model.source_id == view.focus:
                return name
        return max(self.names, key=lambda name: curve(self.at_level(name)).auc() or 0.0)


def by_vertebra(view: EvaluationView, question: Question) -> bool:
    """Whether the view has a threshold for each vertebra, and the question allows it."""
    return view.by_vertebra and question.knows_vertebrae


def compare(
    sources: Sources, truth: TruthSource, models: Sequence[PredictionSource], view: EvaluationView
) -> ComparisonTable:
    """Read the studies of a view and choose thresholds by its rule.

    Raises:
        PredictionsError: A table cannot be read, or no study or model is left.
        DataRootError: The truth cannot be read.
    """
    evaluated = load(truth, models, view)
    ensemble, refusals = None, list[str]()
    if view.ensemble:
        try:
            ensemble = combined(sources, truth, models, evaluated, view)
        except PredictionsError as error:
            refusals.append(f"{ENSEMBLE_NAME}: {error}")
        else:
            models, evaluated = [*models, ensemble.source], ensemble.evaluated
    question = question_of(view)
    able, problems = supported(evaluated, [model.label for model in models], question)
    problems += refusals
    if not able:
        raise PredictionsError(problems[0])
    by_name = {model.label: model for model in models if model.label in able}
    chosen: dict[str, ChosenThresholds] = {}
    for name, model in by_name.items():
        try:
            chosen[name] = _choose(sources, truth, model, evaluated, ensemble, view)
        except PredictionsError as error:
            problems.append(f"{name}: {error} The threshold is 0.5 until you move it.")
    return ComparisonTable(
        truth, evaluated, question, by_name, styles_of(sources), chosen, tuple(problems), ensemble
    )


def styles_of(sources: Sources) -> dict[str, ModelStyle]:
    """Style of every model by name; bundles come first, so that theirs do not change."""
    styles = model_styles([model.label for model in sources.models.values()])
    return {ENSEMBLE_NAME: ENSEMBLE_STYLE} | styles


def drawn_curves(comparison: ComparisonTable, vertebra: int | None = None) -> list[DrawnCurve]:
    """The curves of all models, thinned; those without both classes are left out.

    Args:
        comparison: Models and studies shown.
        vertebra: 0..6 for one vertebra; None for all items together.
    """
    found: list[DrawnCurve] = []
    for name in comparison.names:
        model = comparison.at_level(name)
        if vertebra is None:
            points = drawn_points(model)
        else:
            points = vertebra_curves(model.of_vertebrae)[VERTEBRAE[vertebra]].points
        if not points.one_class:
            found.append(DrawnCurve(name, comparison.styles[name], points))
    return found


def _choose(
    sources: Sources, truth: TruthSource, model: PredictionSource, evaluated: Evaluated,
    ensemble: ShownEnsemble | None, view: EvaluationView,
) -> ChosenThresholds:  # fmt: skip
    question = question_of(view)
    if view.rule == "bundle":
        return _bundle_points(model, question, many=by_vertebra(view, question))
    other = None
    if ensemble is not None and model == ensemble.source:
        other = ensemble.other
    elif not view.same_data:
        other = load_other(sources.truths, truth, [model], view.pooling)
    label, on = other or ("the studies shown", evaluated)
    return choose(
        ModelAtLevel(on, model.label, question), rule_of(view),
        by_vertebra=by_vertebra(view, question), label=label, same_data=other is None,
    )  # fmt: skip


def with_points_as_set(comparison: ComparisonTable, view: EvaluationView) -> ComparisonTable:
    """The same with the operating points as they are now: one may have been saved since."""
    if view.rule != "bundle":
        return comparison
    many = by_vertebra(view, comparison.question)
    now = {
        name: _bundle_points(model, comparison.question, many=many)
        for name, model in comparison.models.items()
        if name in comparison.chosen
    }
    return replace(comparison, chosen=now)


def _bundle_points(model: PredictionSource, question: Question, *, many: bool) -> ChosenThresholds:
    """The operating points that the model is used with.

    Raises:
        PredictionsError: It has none at this level.
    """
    bundle = model.bundle and with_team_points(model.bundle, settings().cspine_var)
    if bundle is None or not has_operating_point(bundle, question.level):
        raise PredictionsError(f"There is no operating point at {question.level} level.")
    point = operating_point(bundle, question.level)
    shared = (point.threshold,) * (len(VERTEBRAE) if many else 1)
    values = (point.per_vertebra if many else None) or shared
    points = tuple(OperatingPoint(value, "given") for value in values)
    return ChosenThresholds(values, points, "", same_data=False, origin=point.origin)


def has_other_data(comparison: ComparisonTable) -> bool:
    """Whether any model could have its thresholds chosen on other data."""
    truth_id = comparison.truth.truth_id
    if comparison.ensemble is not None and comparison.ensemble.other is not None:
        return True
    return any(model.other_table(truth_id) for model in comparison.models.values())


def networks_behind(model: PredictionSource) -> tuple[str, str] | None:
    """Keys of the bundles behind a model; None where Diagnosis cannot run them."""
    bundle = model.bundle
    if bundle is None or not bundle.config.gives_fractures:
        return None
    try:
        return bundle_key(vertebra_for(bundle, settings().checkpoints)), bundle_key(bundle)
    except CSpineError:
        return None
