"""A reader study's results as text."""

from __future__ import annotations

from core.evaluation.estimates import Estimate
from core.reader_study.mrmc import ReaderMean
from core.reader_study.results import FIGURES, ArmResult, CallFigures, StudyResults

_MOST_CASES = 5


def estimate_text(found: Estimate | ReaderMean | None, form: str = ".2f") -> str:
    """A figure with its interval, "0.80 (0.55 to 0.93)"; a dash where there is none."""
    if found is None:
        return "–"
    value = format(found.value, form)
    if found.low is not None and found.high is not None:
        value = f"{value} ({found.low:{form}} to {found.high:{form}})"
    return value.replace("-", "−")


def difference_text(found: ReaderMean | None) -> str:
    """A mean difference with sign, interval and p value."""
    if found is None:
        return "–"
    text = estimate_text(found, "+.2f")
    if found.p_value is None:
        return text
    return f"{text}, p < 0.001" if found.p_value < 0.001 else f"{text}, p = {found.p_value:.3f}"


def arm_name(helped: bool) -> str:
    """Name of the answers with or without the model's help."""
    return "with the model's help" if helped else "without help"


def results_text(results: StudyResults) -> str:
    """All results, one figure per line."""
    lines = [
        f"{len(results.readers)} readers, {results.n_cases} cases ({results.n_fractured} "
        f"fractured), {results.n_answers} answers",
        "",
    ]
    for arm in results.arms:
        lines += _arm_lines(arm)
    for name, found in results.help.items():
        lines.append(f"Help changes the mean {_title(name)} by {difference_text(found)}")
    if results.model is not None:
        model = results.model
        lines.append(f"Model at threshold {model.threshold:.3f}: {_figures_text(model.figures)}")
    lines += [
        f"Agreement of the readers (Fleiss' kappa): {estimate_text(results.agreement)}",
        "",
        "Readers:",
    ]
    lines += [
        f"  {one.reader:3}: {_figures_text(one.all)}, median {one.all.seconds:.0f} s, kappa with "
        f"the model {estimate_text(one.with_model)}"
        for one in results.readers
    ]
    lines += ["", "Cases that fooled most:"]
    lines += [
        f"  {case.study_id}: {case.n_wrong} of {case.n_readers} wrong; true: "
        f"{case.fractured or 'no fracture'}"
        + ("" if case.model_prob is None else f"; model p = {case.model_prob:.3f}")
        for case in results.cases[:_MOST_CASES]
        if case.n_wrong
    ] or ["  none: every call was right"]
    return "\n".join(lines)


def _arm_lines(arm: ArmResult) -> list[str]:
    means = ", ".join(f"{_title(name)} {estimate_text(arm.means[name])}" for name in FIGURES)
    lines = [
        f"Mean of the readers {arm_name(arm.helped)}: {means}; median {arm.seconds:.0f} s",
    ]
    if arm.versus_model is not None:
        lines.append(
            f"Readers {arm_name(arm.helped)} less the model, AUC: "
            f"{difference_text(arm.versus_model)}"
        )
    return lines


def _figures_text(figures: CallFigures) -> str:
    return (
        f"sensitivity {estimate_text(figures.sensitivity)}, specificity "
        f"{estimate_text(figures.specificity)}, AUC {estimate_text(figures.auc)}"
    )


def _title(name: str) -> str:
    return "AUC" if name == "auc" else name
