"""Tables of the Evaluation page that follow the thresholds, as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from core.constants import VERTEBRAE
from core.evaluation.confusion import ConfusionCounts
from core.evaluation.subgroup_report import METHOD, Findings, part_sentence, sentence
from core.visualization.colors import VERTEBRA_COLORS
from dashboard.evaluation.results import Question
from dashboard.evaluation.threshold_counts import LiveFigures, what_if
from dashboard.widgets.html_table import html_table
from dashboard.widgets.overlay import live, symbol_svg
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
_NET_BENEFIT: Final = (
    "Net benefit",
    "True positives a study, less false alarms at the odds of the threshold: the decision curve's "
    "value. Only for one threshold.",
)


def model_tag(name: str, style: ModelStyle) -> str:
    """A model's name with its symbol, as HTML."""
    return (
        f'<span class="lab-model">{symbol_svg(style.symbol, style.color)}'
        f"<span>{escape(name)}</span></span>"
    )


def difference_text(value: float | None, low: float | None, high: float | None) -> str:
    """A difference with its interval."""
    if value is None or low is None or high is None:
        return "–"
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})"


def what_if_html(
    question: Question, figures: Mapping[str, LiveFigures], styles: Mapping[str, ModelStyle],
    focus: str,
) -> str:  # fmt: skip
    """Consequences of each model's threshold, one line per model; the active model first."""
    order = [focus, *(name for name in figures if name != focus)]
    lines: list[str] = []
    for name in order:
        at, sentence = _at(figures[name]), what_if(question.level, figures[name].counts) + "."
        looks, tag = "", model_tag(name, styles[name])
        if name == focus:
            looks, at = "lab-focus", live("at", at)
            sentence = live("what-if", escape(sentence))
        lines.append(f'<li class="{looks}">{tag} {at} <b>{sentence}</b></li>')
    return f'<ul class="lab-what-if" aria-live="polite">{"".join(lines)}</ul>'


def metrics_html(
    figures: Mapping[str, LiveFigures], styles: Mapping[str, ModelStyle],
    prevalence: float | None, focus: str = "",
) -> str:  # fmt: skip
    """Metrics of every model at its thresholds, and PPV and NPV at a prevalence."""
    why = f"At a prevalence of {'the data' if prevalence is None else f'{prevalence:.2%}'}"
    columns = [(label, meaning) for _, label, meaning in _COLUMNS]
    rows: list[list[str]] = []
    for name, own in figures.items():
        cells = {field: f"{getattr(own.counts, field):.3f}" for field, *_ in _COLUMNS}
        cells |= _predictive(own.counts, prevalence) | {"net_benefit": _net_benefit(own)}
        shown = (live(f"m:{f}", text) if name == focus else text for f, text in cells.items())
        rows.append([model_tag(name, styles[name]), *shown])
    return html_table(["Model", *columns, ("PPV", why), ("NPV", why), _NET_BENEFIT], rows)


def confusion_html(
    question: Question, figures: Mapping[str, LiveFigures], styles: Mapping[str, ModelStyle],
    focus: str = "",
) -> str:  # fmt: skip
    """Confusion matrix of each model; the shade of a cell is its share of the row."""
    return (
        '<div class="lab-confusions">'
        + "".join(
            _confusion(question, own, model_tag(name, styles[name]), live=name == focus)
            for name, own in figures.items()
        )
        + "</div>"
    )


def vertebra_html(
    name: str, figures: LiveFigures, style: ModelStyle, *, moving: bool = False
) -> str:
    """One model's figures for each of C1–C7; with `moving`, the threshold board rewrites them."""
    if not figures.per_vertebra:
        return ""
    head = (
        ("Patients", "Found", "Missed", "Recall")
        if figures.strata
        else ("Threshold", "Positive", "Found", "Missed", "Alarms", "Recall", "Precision", "F1")
    )
    many = len(figures.thresholds) == len(VERTEBRAE)
    rows = (
        _vertebra_row(vertebra, own, figures.strata, figures.thresholds[j if many else 0], moving)
        for j, (vertebra, own) in enumerate(figures.per_vertebra.items())
    )
    table = html_table(["Vertebra", *head], rows, looks="lab-numbers lab-tight")
    return f'<div class="lab-panel-title">{model_tag(name, style)}</div>{table}'


def _vertebra_row(
    vertebra: str, counts: ConfusionCounts, strata: bool, threshold: float, moving: bool
) -> list[str]:
    chip = f'<span class="lab-chip" style="background:{VERTEBRA_COLORS[vertebra]}"></span>'
    none = "–" if counts.n_positive == 0 else None
    recall = none or f"{counts.recall:.3f}"
    if strata:
        cells = [
            ("", f"{counts.n_positive:,}"), ("found", f"{counts.true_positives:,}"),
            ("missed", f"{counts.false_negatives:,}"), ("recall", recall),
        ]  # fmt: skip
    else:
        cells = [
            ("threshold", f"{threshold:.3f}"), ("", f"{counts.n_positive:,}"),
            ("found", f"{counts.true_positives:,}"), ("missed", f"{counts.false_negatives:,}"),
            ("alarms", f"{counts.false_positives:,}"), ("recall", recall),
            ("precision", f"{counts.precision:.3f}"), ("f1", none or f"{counts.f1:.3f}"),
        ]  # fmt: skip
    shown = (
        live(f"v:{vertebra}:{field}", text) if field and moving else text for field, text in cells
    )
    return [chip + vertebra, *shown]


def _confusion(question: Question, figures: LiveFigures, tag: str, *, live: bool) -> str:
    counts = figures.counts
    seen = question.level == "presence"
    yes, no = ("visible", "absent") if seen else ("fracture", "none")
    rows = (
        (f"truth: {yes}", counts.n_positive, (counts.true_positives, counts.false_negatives)),
        (f"truth: {no}", counts.n_negative, (counts.false_positives, counts.true_negatives)),
    )
    names = (("tp", "fn"), ("fp", "tn"))
    body = "".join(
        f"<tr><th>{label}</th>"
        + "".join(_cell(n, total, one, live) for n, one in zip(cells, names[k], strict=True))
        + "</tr>"
        for k, (label, total, cells) in enumerate(rows)
    )
    return (
        f'<table class="lab-confusion"><caption>{tag}</caption>'
        f"<thead><tr><td></td><th>called {yes}</th><th>called {no}</th></tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def _cell(n: int, total: int, name: str, live: bool) -> str:
    share = n / total if total else 0.0
    tone = "lab-right" if name in ("tp", "tn") else "lab-wrong"
    mark = f' data-live="c:{name}"' if live else ""
    return (
        f'<td class="{tone}"{mark} style="--share:{100 * share:.1f}%"><b>{n:,}</b>'
        f"<span>{share:.1%}</span></td>"
    )


def _net_benefit(figures: LiveFigures) -> str:
    threshold = max(figures.thresholds)
    if len(figures.thresholds) > 1 or threshold >= 1:
        return "–"
    return f"{figures.counts.net_benefit_at(threshold):.3f}"


def _predictive(counts: ConfusionCounts, prevalence: float | None) -> dict[str, str]:
    if prevalence is None:
        values = (counts.precision, counts.negative_predictive_value)
    else:
        values = (counts.ppv_at(prevalence), counts.npv_at(prevalence))
    return dict(zip(("ppv", "npv"), (f"{value:.3f}" for value in values), strict=True))


def _at(figures: LiveFigures) -> str:
    if len(figures.thresholds) == 1:
        return f"at {figures.thresholds[0]:.3f}:"
    return "at its seven thresholds:"


def subgroups_html(findings: Findings) -> str:
    """Every group and the worst parts in sentences."""
    report = findings.report
    lines = [sentence(group) for group in (report.overall, *report.groups)]
    parts = [part_sentence(part) for part in findings.worst]
    return (
        f"<p>{escape(METHOD)}</p><ul>{_points(lines)}</ul><p>The worst parts of the data:</p>"
        f"<ul>{_points(parts or ['No part of the data stands out.'])}</ul>"
    )


def _points(lines: Sequence[str]) -> str:
    return "".join(f"<li>{escape(line)}</li>" for line in lines)
