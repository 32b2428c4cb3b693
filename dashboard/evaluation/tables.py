"""Tables of the Evaluation page that follow the thresholds, as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from core.constants import VERTEBRAE
from core.evaluation.confusion import ConfusionCounts
from core.visualization.colors import VERTEBRA_COLORS
from dashboard.evaluation.results import Question
from dashboard.evaluation.threshold_counts import LiveFigures, what_if
from dashboard.widgets.html_table import html_table
from dashboard.widgets.overlay import symbol_svg
from dashboard.widgets.palette import ModelStyle

_COLUMNS: Final = (
    ("recall", "Recall", "Share of positives that are called."),
    ("specificity", "Specificity", "Share of negatives that are not called."),
    ("precision", "Precision", "Share of calls that are right."),
    ("f1", "F1", "Harmonic mean of precision and recall."),
    ("accuracy", "Accuracy", "Share of right calls."),
    ("balanced_accuracy", "Balanced acc.", "Mean of recall and specificity."),
    ("mcc", "MCC", "Matthews correlation: 0 is chance, 1 perfect."),
)


def model_tag(name: str, style: ModelStyle) -> str:
    """A model's name with its symbol, as HTML."""
    return (
        f'<span class="lab-model">{symbol_svg(style.symbol, style.color)}'
        f"<span>{escape(name)}</span></span>"
    )


def what_if_html(
    question: Question, figures: Mapping[str, LiveFigures], styles: Mapping[str, ModelStyle],
    focus: str,
) -> str:  # fmt: skip
    """Consequences of each model's threshold, one line per model; the active model first."""
    order = [focus, *(name for name in figures if name != focus)]
    lines = "".join(
        f'<li class="{"lab-focus" if name == focus else ""}">{model_tag(name, styles[name])} '
        f"{_at(figures[name])} <b>{escape(what_if(question.level, figures[name].counts))}.</b></li>"
        for name in order
    )
    return f'<ul class="lab-what-if" aria-live="polite">{lines}</ul>'


def metrics_html(
    figures: Mapping[str, LiveFigures], styles: Mapping[str, ModelStyle],
    prevalence: float | None,
) -> str:  # fmt: skip
    """Metrics of every model at its thresholds, and PPV and NPV at a prevalence."""
    why = f"At a prevalence of {'the data' if prevalence is None else f'{prevalence:.2%}'}"
    columns = [(label, meaning) for _, label, meaning in _COLUMNS]
    rows = (
        [
            model_tag(name, styles[name]),
            *(f"{getattr(own.counts, field):.3f}" for field, *_ in _COLUMNS),
            *_predictive(own.counts, prevalence),
        ]
        for name, own in figures.items()
    )
    return html_table(["Model", *columns, ("PPV", why), ("NPV", why)], rows)


def confusion_html(
    question: Question, figures: Mapping[str, LiveFigures], styles: Mapping[str, ModelStyle]
) -> str:
    """Confusion matrix of each model; the shade of a cell is its share of the row."""
    return (
        '<div class="lab-confusions">'
        + "".join(_confusion(question, name, own, styles[name]) for name, own in figures.items())
        + "</div>"
    )


def vertebra_html(name: str, figures: LiveFigures, style: ModelStyle) -> str:
    """One model's figures for each of C1–C7."""
    if not figures.per_vertebra:
        return ""
    head = (
        ("Patients", "Found", "Missed", "Recall")
        if figures.strata
        else ("Threshold", "Positive", "Found", "Missed", "Alarms", "Recall", "Precision", "F1")
    )
    many = len(figures.thresholds) == len(VERTEBRAE)
    rows = (
        _vertebra_row(vertebra, own, figures.strata, figures.thresholds[j if many else 0])
        for j, (vertebra, own) in enumerate(figures.per_vertebra.items())
    )
    table = html_table(["Vertebra", *head], rows, looks="lab-numbers lab-tight")
    return f'<div class="lab-panel-title">{model_tag(name, style)}</div>{table}'


def legend_html(names: Sequence[str], styles: Mapping[str, ModelStyle]) -> str:
    """Legend: the symbol of each model."""
    tags = "".join(model_tag(name, styles[name]) for name in names)
    return f'<div class="lab-legend">{tags}</div>'


def _vertebra_row(
    vertebra: str, counts: ConfusionCounts, strata: bool, threshold: float
) -> list[str]:
    chip = f'<span class="lab-chip" style="background:{VERTEBRA_COLORS[vertebra]}"></span>'
    none = "–" if counts.n_positive == 0 else None
    recall = none or f"{counts.recall:.3f}"
    if strata:
        cells = [
            f"{counts.n_positive:,}", f"{counts.true_positives:,}",
            f"{counts.false_negatives:,}", recall,
        ]  # fmt: skip
    else:
        cells = [
            f"{threshold:.3f}", f"{counts.n_positive:,}", f"{counts.true_positives:,}",
            f"{counts.false_negatives:,}", f"{counts.false_positives:,}", recall,
            f"{counts.precision:.3f}", none or f"{counts.f1:.3f}",
        ]  # fmt: skip
    return [chip + vertebra, *cells]


def _confusion(question: Question, name: str, figures: LiveFigures, style: ModelStyle) -> str:
    counts = figures.counts
    seen = question.level == "presence"
    yes, no = ("visible", "absent") if seen else ("fracture", "none")
    rows = (
        (f"truth: {yes}", counts.n_positive, (counts.true_positives, counts.false_negatives)),
        (f"truth: {no}", counts.n_negative, (counts.false_positives, counts.true_negatives)),
    )
    right = ((True, False), (False, True))
    body = "".join(
        f"<tr><th>{label}</th>"
        + "".join(_cell(n, total, ok) for n, ok in zip(cells, right[k], strict=True))
        + "</tr>"
        for k, (label, total, cells) in enumerate(rows)
    )
    return (
        f'<table class="lab-confusion"><caption>{model_tag(name, style)}</caption>'
        f"<thead><tr><td></td><th>called {yes}</th><th>called {no}</th></tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def _cell(n: int, total: int, right: bool) -> str:
    share = n / total if total else 0.0
    tone = "lab-right" if right else "lab-wrong"
    return (
        f'<td class="{tone}" style="--share:{100 * share:.1f}%"><b>{n:,}</b>'
        f"<span>{share:.1%}</span></td>"
    )


def _predictive(counts: ConfusionCounts, prevalence: float | None) -> list[str]:
    if prevalence is None:
        values = (counts.precision, counts.negative_predictive_value)
    else:
        values = (counts.ppv_at(prevalence), counts.npv_at(prevalence))
    return [f"{value:.3f}" for value in values]


def _at(figures: LiveFigures) -> str:
    if len(figures.thresholds) == 1:
        return f"at {figures.thresholds[0]:.3f}:"
    return "at its seven thresholds:"
