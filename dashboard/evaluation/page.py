"""Frame of the Evaluation page: choices, notices and the empty state."""

from __future__ import annotations

from html import escape

import streamlit as st
from streamlit.elements.lib.mutable_expander_container import ExpanderContainer

from core.errors import CSpineError
from dashboard.evaluation.choices import (
    check_linked_names,
    choose_cohort,
    choose_details,
    choose_level,
    choose_models,
    choose_truth,
)
from dashboard.evaluation.comparison import ComparisonTable, compare
from dashboard.evaluation.import_popover import import_popover
from dashboard.evaluation.sources import Sources
from dashboard.evaluation.state import enter_evaluation_view, evaluation_view
from dashboard.session.wording import literal
from dashboard.widgets.frame import synthetic_badge
from dashboard.widgets.notices import show_error, show_left_message


def empty_state(sources: Sources) -> None:
    """Explain how to get predictions where there are none yet."""
    st.html(
        '<div class="lab-blank"><strong>No predictions to evaluate yet.</strong><br>'
        "A run over all folds writes them (<code>python -m core train CONFIG --fold all</code>, "
        "or <em>Training</em> with all folds), <code>make demo-models</code> "
        "writes those of the shipped networks, and predictions of another model can be added "
        "here.</div>"
    )
    show_left_message()
    if sources.truths:
        import_popover(sources)


def choices(sources: Sources) -> ComparisonTable | None:
    """Draw all choices and read the data; None, with an error shown, where it cannot be read.

    Raises:
        LinkError: The URL has a wrong value.
    """
    enter_evaluation_view(lambda view: check_linked_names(view, sources))
    with st.container(key="ev_choice"):
        data, level, detail = st.columns([5, 6, 5], gap="medium", vertical_alignment="bottom")
        with data:
            truth = choose_truth(sources)
        with level:
            choose_level()
        with detail:
            choose_details()
        with st.expander("Models, cohort filter and imports", icon=":material/tune:"):
            models, cohort, imports = st.columns(
                [10, 3, 3], gap="medium", vertical_alignment="bottom"
            )
            with models:
                chosen = choose_models(sources, truth)
            with imports:
                import_popover(sources)
    show_left_message()
    comparison, problem = None, ""
    try:
        with st.spinner("Reading predictions and truth …", show_time=True):
            comparison = compare(sources, truth, chosen, evaluation_view())
    except CSpineError as error:
        problem = str(error)
    with cohort:
        choose_cohort(truth, None if comparison is None else comparison.evaluated)
    if problem:
        show_error(problem, icon=":material/error:")
    return comparison


def notices(comparison: ComparisonTable) -> None:
    """Show the number of studies, what is left out, and whether they are synthetic."""
    truth = comparison.evaluated.data.truth
    fractured = int(truth.fractured.any(axis=1).sum())
    part = ""
    if truth.n_studies < comparison.evaluated.whole:
        part = f" of {comparison.evaluated.whole:,}"
    facts = [
        f"<li>{truth.n_studies:,}{part} studies, {fractured:,} fractured</li>",
        f"<li>{int(truth.fractured.sum()):,} fractured vertebrae</li>",
    ]
    if len(truth.presence):
        facts.append(f"<li>{len(truth.presence):,} slices with truth</li>")
    if comparison.truth.synthetic:
        badge = synthetic_badge()
        facts.append(f"<li>{badge}</li>")
    st.html(f'<ul class="lab-facts">{"".join(facts)}</ul>')
    if notes := comparison.notes:
        with st.expander(f"{len(notes)} notes on what is left out", icon=":material/info:"):
            for sentence in notes:
                st.markdown(f"- {literal(sentence)}")


def folded(question: str, key: str, *, expanded: bool = False) -> ExpanderContainer:
    """A section that is computed once it is opened; draw it where its `open` is true.

    Args:
        question: Heading of the section.
        key: Part of its key.
        expanded: Whether it is open at first.
    """
    return st.expander(
        f"**{question}**", expanded=expanded, key=f"ev_fold_{key}", on_change="rerun"
    )


def section(question: str) -> None:
    """Draw the heading of a section."""
    st.html(f'<h2 class="lab-section">{escape(question)}</h2>')
