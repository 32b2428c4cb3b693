"""The parts of the Evaluation page that follow the thresholds, filled into their slots."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from streamlit.delta_generator import DeltaGenerator

from core.constants import VERTEBRAE
from core.evaluation.confusion import ConfusionCounts
from dashboard.evaluation.charts.small_multiples import panel_mark
from dashboard.evaluation.comparison import ComparisonTable
from dashboard.evaluation.tables import confusion_html, metrics_html, vertebra_html
from dashboard.evaluation.threshold_counts import LiveFigures
from dashboard.evaluation.view import EvaluationView
from dashboard.widgets.overlay import Line, Mark, overlay
from dashboard.widgets.palette import ModelStyle
from dashboard.widgets.plot_area import GRID, LOW, WIDE


@dataclass(slots=True)
class Slots:
    """Slots of the page that the sliders fill again.

    Attributes:
        places: By name: over the charts ("roc", "precision", "panels", "decision"), and the tables
            ("confusion", "metrics", "vertebrae"); absent where one is not shown.
        distributions: Over each model's distribution, by name of the model.
        later: Functions that draw the charts below the first screen.
    """

    places: dict[str, DeltaGenerator] = field(default_factory=dict)
    distributions: dict[str, DeltaGenerator] = field(default_factory=dict)
    later: list[Callable[[], None]] = field(default_factory=list)

    def draw_the_rest(self) -> None:
        """Draw the charts below the first screen."""
        for work in self.later:
            work()
        self.later.clear()

    def fill(self, content: Mapping[str, str]) -> None:
        """Fill slots with HTML by name."""
        for name, html in content.items():
            if name in self.places:
                self.places[name].markdown(html, unsafe_allow_html=True)


def fill(
    comparison: ComparisonTable,
    view: EvaluationView,
    figures: Mapping[str, LiveFigures],
    slots: Slots,
) -> None:
    """Fill the slots that show all items together."""
    styles, focus = comparison.styles, comparison.focus(view)

    def moving(name: str, part: str) -> str:
        return part if name == focus else ""

    single = [
        Line(own.thresholds[0], styles[name].color, live=moving(name, "line:0"))
        for name, own in figures.items()
        if len(own.thresholds) == 1
    ]
    slots.fill(
        {
            "roc": overlay(
                WIDE,
                [roc_mark(n, styles[n], f.counts, moving(n, "roc")) for n, f in figures.items()],
            ),
            "precision": overlay(
                WIDE,
                [_pr_mark(n, styles[n], f.counts, moving(n, "pr")) for n, f in figures.items()],
            ),
            "decision": overlay(LOW, lines=single),
            "confusion": confusion_html(comparison.question, figures, styles, focus),
            "metrics": metrics_html(figures, styles, view.prevalence, focus),
        }
    )
    for name, slot in slots.distributions.items():
        values = figures[name].thresholds
        lines = [
            Line(
                value,
                styles[name].color,
                "" if len(values) > 1 else f"{value:.3f}",
                live=moving(name, f"line:{j}"),
            )
            for j, value in enumerate(values)
        ]
        slot.markdown(overlay(LOW, lines=lines), unsafe_allow_html=True)


def fill_vertebrae(
    comparison: ComparisonTable, focus: str, figures: Mapping[str, LiveFigures], slots: Slots
) -> None:
    """Fill the slots that show C1..C7 one by one."""
    marks = [
        panel_mark(
            j,
            roc_mark(
                f"{vertebra} · {name}",
                comparison.styles[name],
                counts,
                f"panel:{vertebra}" if name == focus else "",
            ),
        )
        for name, own in figures.items()
        for j, vertebra in enumerate(VERTEBRAE)
        if not own.strata and (counts := own.per_vertebra.get(vertebra)) is not None
        if counts.n_positive and counts.n_negative
    ]
    table = vertebra_html(focus, figures[focus], comparison.styles[focus], moving=True)
    slots.fill({"panels": overlay(GRID, marks), "vertebrae": table})


def roc_mark(name: str, style: ModelStyle, counts: ConfusionCounts, live: str = "") -> Mark:
    """A model's place on its ROC curve."""
    label = f"{name}: recall {counts.recall:.3f}, specificity {counts.specificity:.3f}"
    return Mark(1 - counts.specificity, counts.recall, style.color, style.symbol, label, live)


def _pr_mark(name: str, style: ModelStyle, counts: ConfusionCounts, live: str) -> Mark:
    called = counts.true_positives + counts.false_positives
    # Without a call precision is 1 by the curve's convention.
    precision = counts.precision if called else 1.0
    label = f"{name}: recall {counts.recall:.3f}, precision {precision:.3f}"
    return Mark(counts.recall, precision, style.color, style.symbol, label, live)
