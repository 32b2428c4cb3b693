"""The parts of the Evaluation page that follow the thresholds, filled into their slots."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from streamlit.delta_generator import DeltaGenerator

from core.constants import VERTEBRAE
from dashboard.evaluation.charts.small_multiples import panel_mark
from dashboard.evaluation.comparison import ComparisonTable
from dashboard.evaluation.tables import confusion_html, metrics_html, vertebra_html
from dashboard.evaluation.threshold_counts import LiveFigures
from dashboard.evaluation.view import EvaluationView
from dashboard.widgets.overlay import Line, Mark, overlay
from dashboard.widgets.plot_area import GRID, LOW, WIDE


@dataclass(slots=True)
class Slots:
    """Slots of the page that the sliders fill again; None where a chart is not shown.

    Attributes:
        roc: Over the ROC curves.
        precision: Over the precision–recall curves.
        panels: Over the small panels.
        decision: Over the decision curves.
        confusion: Confusion matrices.
        metrics: The table of metrics.
        vertebrae: The table of C1–C7.
        distributions: Over each model's distribution, by name.
        later: Functions that draw the charts below the first screen.
    """

    roc: DeltaGenerator | None = None
    precision: DeltaGenerator | None = None
    panels: DeltaGenerator | None = None
    decision: DeltaGenerator | None = None
    confusion: DeltaGenerator | None = None
    metrics: DeltaGenerator | None = None
    vertebrae: DeltaGenerator | None = None
    distributions: dict[str, DeltaGenerator] = field(default_factory=dict)
    later: list[Callable[[], None]] = field(default_factory=list)

    def draw_the_rest(self) -> None:
        """Draw the charts below the first screen."""
        for work in self.later:
            work()
        self.later.clear()


def fill(
    comparison: ComparisonTable,
    view: EvaluationView,
    figures: Mapping[str, LiveFigures],
    slots: Slots,
) -> None:
    """Fill the slots that show all items together."""
    styles = comparison.styles
    if slots.roc is not None:
        _html(slots.roc, overlay(WIDE, [_roc_mark(comparison, n, f) for n, f in figures.items()]))
    if slots.precision is not None:
        marks = [_pr_mark(comparison, n, f) for n, f in figures.items()]
        _html(slots.precision, overlay(WIDE, marks))
    if slots.decision is not None:
        lines = [
            Line(own.thresholds[0], styles[name].color)
            for name, own in figures.items()
            if len(own.thresholds) == 1
        ]
        _html(slots.decision, overlay(LOW, lines=lines))
    for name, slot in slots.distributions.items():
        lines = [
            Line(value, styles[name].color, "" if len(figures[name].thresholds) > 1 else
                 f"{value:.3f}")
            for value in figures[name].thresholds
        ]  # fmt: skip
        _html(slot, overlay(LOW, lines=lines))
    if slots.confusion is not None:
        _html(slots.confusion, confusion_html(comparison.question, figures, styles))
    if slots.metrics is not None:
        _html(slots.metrics, metrics_html(figures, styles, view.prevalence))


def fill_vertebrae(
    comparison: ComparisonTable, focus: str, figures: Mapping[str, LiveFigures], slots: Slots
) -> None:
    """Fill the slots that show C1..C7 one by one."""
    if slots.panels is not None:
        _html(slots.panels, overlay(GRID, _panel_marks(comparison, figures)))
    if slots.vertebrae is not None:
        _html(slots.vertebrae, vertebra_html(focus, figures[focus], comparison.styles[focus]))


def _roc_mark(comparison: ComparisonTable, name: str, figures: LiveFigures) -> Mark:
    counts, style = figures.counts, comparison.styles[name]
    label = f"{name}: recall {counts.recall:.3f}, specificity {counts.specificity:.3f}"
    return Mark(1 - counts.specificity, counts.recall, style.color, style.symbol, label)


def _pr_mark(comparison: ComparisonTable, name: str, figures: LiveFigures) -> Mark:
    counts, style = figures.counts, comparison.styles[name]
    called = counts.true_positives + counts.false_positives
    # Without a call precision is 1 by the curve's convention.
    precision = counts.precision if called else 1.0
    label = f"{name}: recall {counts.recall:.3f}, precision {precision:.3f}"
    return Mark(counts.recall, precision, style.color, style.symbol, label)


def _panel_marks(comparison: ComparisonTable, figures: Mapping[str, LiveFigures]) -> list[Mark]:
    marks: list[Mark] = []
    for name, own in figures.items():
        style = comparison.styles[name]
        for j, vertebra in enumerate(VERTEBRAE):
            counts = own.per_vertebra.get(vertebra)
            if own.strata or counts is None or not counts.n_positive or not counts.n_negative:
                continue
            label = f"{vertebra} · {name}: recall {counts.recall:.3f}"
            mark = Mark(1 - counts.specificity, counts.recall, style.color, style.symbol, label)
            marks.append(panel_mark(j, mark))
    return marks


def _html(slot: DeltaGenerator, html: str) -> None:
    slot.markdown(html, unsafe_allow_html=True)
