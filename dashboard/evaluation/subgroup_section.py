"""On which studies is the active model worse? A forest plot, its table, and the worst parts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Final

import pandas as pd
import streamlit as st

from core.errors import CSpineError, PredictionsError
from core.evaluation.subgroup_report import (
    HEADING,
    MEASURE_NAMES,
    METHOD,
    csv_rows,
    group_name,
    p_text,
    part_name,
    sentence,
)
from core.evaluation.subgroups import FEWEST_STUDIES, MEASURES, Measure, Subgroup, SubgroupReport
from core.evaluation.tables.attributes import Condition
from core.evaluation.worst_parts import WorstPart
from core.system.csv_text import table_csv
from dashboard.evaluation.charts.forest import forest_figure
from dashboard.evaluation.columns_popover import columns_popover
from dashboard.evaluation.comparison import ComparisonTable
from dashboard.evaluation.curve_charts import title
from dashboard.evaluation.deferred import Pending, compute_deferred, computing
from dashboard.evaluation.state import (
    SUBGROUPS_PART,
    bound,
    control,
    evaluation_view,
    keep_evaluation_view,
    show_group,
)
from dashboard.evaluation.subgroup_results import (
    Facts,
    facts_shown,
    shown_attributes,
    subgroup_results,
)
from dashboard.evaluation.tables import model_tag
from dashboard.evaluation.view import EvaluationView
from dashboard.evaluation.view_groups import EVERY, write_conditions
from dashboard.session import state
from dashboard.session.wording import literal
from dashboard.widgets.frame import draw
from dashboard.widgets.job_status import poll
from dashboard.widgets.notices import show_error
from dashboard.widgets.plot_area import show_chart

ROWS_AT_FIRST: Final = 24


@st.fragment(key=SUBGROUPS_PART)
def subgroup_section(comparison: ComparisonTable) -> None:
    """Draw a switch, and below it everything on subgroups of the active model."""
    view = evaluation_view()
    bound(
        st.toggle, "subgroups", bool(view.subgroups), "Compare subgroups", keep_moved=True,
        convert=lambda on: (EVERY,) if on else (),
        help="By vertebra, headers, quality flags, planted facts and columns that you add.",
    )  # fmt: skip
    if not evaluation_view().subgroups:
        return
    try:
        _groups(comparison)
    except CSpineError as error:
        show_error(error, icon=":material/error:")


def _groups(comparison: ComparisonTable) -> None:
    view, facts = evaluation_view(), facts_shown(comparison)
    name = comparison.focus(view)
    _choices(comparison, facts)
    view = evaluation_view()
    known = {one.key for one in facts.attributes} | {EVERY}
    if unknown := [key for key in view.subgroups if key not in known]:
        raise PredictionsError(
            f"The studies shown have no column “{unknown[0]}” to be compared by; choose others."
        )
    found = subgroup_results(comparison, name, comparison.thresholds(view, name), facts)
    draw(
        f'<div class="lab-panel-title">{model_tag(name, comparison.styles[name])}'
        f"<span>{METHOD} A click on a group shows its errors only.</span></div>"
    )
    if not isinstance(found.report, Pending):
        _forest(found.report, view, facts)
    if not isinstance(found.worst, Pending):
        _worst(found.worst)
    if found.pending:
        poll(_waiting(), every=1.0)
    for note in facts.notes:
        st.caption(literal(note))


def _choices(comparison: ComparisonTable, facts: Facts) -> None:
    view = evaluation_view()
    titles = {one.key: one.title for one in facts.attributes}
    with st.container(horizontal=True, vertical_alignment="bottom", key="ev_group_choices"):
        _choose_columns(view, titles)
        bound(
            st.segmented_control, "measure", view.measure, "Figure", MEASURES, required=True,
            format_func=MEASURE_NAMES.get, keep_moved=True, width="content",
        )  # fmt: skip
        columns_popover(comparison)


def _choose_columns(view: EvaluationView, titles: dict[str, str]) -> None:
    key = "ev_columns_shown"
    chosen = [name for name in view.subgroups if name in titles]

    def changed() -> None:
        shown = tuple(state.recall(key)) or (EVERY,)
        keep_evaluation_view(replace(evaluation_view(), subgroups=shown))

    control(key, chosen)
    st.multiselect(
        "By", list(titles), key=key, format_func=titles.__getitem__, on_change=changed,
        placeholder="everything known", width=320,
    )  # fmt: skip


def _forest(report: SubgroupReport, view: EvaluationView, facts: Facts) -> None:
    keys = {one.key for one in shown_attributes(view, facts)}
    groups = [group for group in report.groups if group.condition.attribute in keys]
    weak = [group for group in groups if group.weakness]
    st.markdown(
        " ".join(f":material/warning: {literal(sentence(group))}" for group in weak[:3])
        or "No group has more errors than the others by more than chance."
    )
    rows = groups
    if len(groups) > ROWS_AT_FIRST and not st.checkbox(
        f"Show all {len(groups)} groups", key="ev_all_groups"
    ):
        rows = groups[:ROWS_AT_FIRST]
    chosen = [k for k, group in enumerate(rows) if (group.condition,) == view.group]
    key = f"ev_forest_{_digest(view, rows)}"
    show_chart(
        forest_figure(rows, report.overall, view.measure, chosen), key,
        "Figure of each group of studies with its interval", selection_mode="points",
        on_select=lambda: _clicked_mark(key, rows),
    )  # fmt: skip
    st.caption(
        "Sorted by the evidence for more errors. The dashed line is all studies; orange diamonds "
        "have more errors than the others, blue squares fewer, by more than chance among all "
        f"{report.tested} groups tested. At least {FEWEST_STUDIES} studies make a group."
    )
    with st.expander("The figures as a table", icon=":material/table:"):
        _table([report.overall, *groups])
        st.download_button(
            "CSV of all groups", lambda: table_csv(list(HEADING), csv_rows(report)),
            "subgroups.csv", "text/csv", icon=":material/download:", on_click="ignore",
            key="ev_groups_csv",
        )  # fmt: skip


def _table(groups: Sequence[Subgroup]) -> None:
    rows = [
        {
            "Group": group_name(group),
            "Studies": group.studies,
            "Positives": f"{group.counts.n_positive:,} of {group.counts.n:,}",
            **{label: _figure(group, measure) for measure, label in MEASURE_NAMES.items()},
            "Of the others": _share(group.expected_error),
            "Adjusted p": "–" if group.adjusted_p is None else p_text(group.adjusted_p),
        }
        for group in groups
    ]
    key = f"ev_groups_{_short(repr(rows))}"
    st.dataframe(
        pd.DataFrame(rows), key=key, hide_index=True, selection_mode=state.ROW_CLICKS,
        on_select=lambda: _clicked_row(key, [(group.condition,) for group in groups]),
    )  # fmt: skip


def _worst(parts: Sequence[WorstPart]) -> None:
    title(
        "The worst parts of the data",
        "Found by a search over one and two facts at once (SliceLine); p-values are corrected for "
        "everything that was searched. A click shows a part’s errors only.",
    )
    if not parts:
        st.caption("No part of the data stands out.")
        return
    rows = [
        {
            "Part": part_name(part),
            "Size": part.units,
            "Wrong": f"{part.error_rate:.1%}",
            "Score": round(part.score, 3),
            "Adjusted p": p_text(part.adjusted_p),
            "Judged": "more than chance" if part.weakness else "within chance",
        }
        for part in parts
    ]
    key = f"ev_worst_{_short(repr(rows))}"
    st.dataframe(
        pd.DataFrame(rows), key=key, hide_index=True, selection_mode=state.ROW_CLICKS,
        on_select=lambda: _clicked_row(key, [part.conditions for part in parts]),
    )  # fmt: skip


def _waiting() -> Callable[[], bool]:
    """Say that groups are being computed; from the second drawing on, see to it that they are.

    The first drawing is part of the page's, whose end starts all deferred work; a redrawing of this
    section alone has no such end.
    """
    drawings = count()

    def draw_waiting() -> bool:
        if next(drawings):
            compute_deferred()
        st.caption(":material/hourglass_top: Groups are being compared and searched …")
        return computing()

    return draw_waiting


def _clicked_mark(key: str, rows: Sequence[Subgroup]) -> None:
    mark = state.clicked_mark(key)
    if mark is not None:
        _toggle((rows[mark[0]].condition,))


def _clicked_row(key: str, conditions: Sequence[tuple[Condition, ...]]) -> None:
    row = state.clicked_row(key)
    if row is not None:
        _toggle(conditions[row])


def _toggle(conditions: tuple[Condition, ...]) -> None:
    """Filter the errors to a group; a second click, or one on all studies, shows all again."""
    everything = conditions in (evaluation_view().group, (Condition("", ""),))
    show_group(() if everything else conditions)


def _digest(view: EvaluationView, rows: Sequence[Subgroup]) -> str:
    """A new chart has no selection, so that the same mark can be clicked again."""
    text = f"{write_conditions(view.group)}|{view.measure}|{[row.condition for row in rows]}"
    return _short(text)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _figure(group: Subgroup, measure: Measure) -> str:
    estimate = group.estimates[measure]
    if estimate is None:
        return "too few" if not group.enough else "–"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} ({estimate.low:.3f}–{estimate.high:.3f})"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
