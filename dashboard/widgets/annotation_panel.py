"""Judge the boxes of the slice on show, and give a verdict on the study."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import streamlit as st

from core.annotations.records import StudyAnnotation, drafted
from core.annotations.store import AnnotationLog
from core.constants import VERTEBRAE
from core.dataset.true_boxes import boxes_on_volume
from core.errors import CSpineError
from core.types import BoxPrediction
from dashboard.session import state
from dashboard.session.access import refusal
from dashboard.session.wording import literal
from dashboard.studies.open_study import OpenStudy
from dashboard.studies.study_annotations import annotation_store, save_annotation
from dashboard.widgets.annotation_rows import (
    DECISION,
    DECISIONS,
    EDGES,
    SCORE,
    SOURCE,
    VERTEBRA,
    BoxRow,
    judged_boxes,
    other_boxes,
    rows_frame,
    slice_rows,
)
from dashboard.widgets.notices import show_error, show_success, show_warning
from dashboard.widgets.study_picker import StudyChoice

_INITIALS: Final = "annotator"
_PROBLEM: Final = "_annotation_problem"
_SAVED: Final = "_annotation_saved"


def annotation_panel(
    study: OpenStudy,
    choice: StudyChoice,
    predicted: Sequence[BoxPrediction],
    *,
    truth: bool,
) -> None:
    """Draw the editor of the slice on show, for studies of a data set; nothing for others.

    Args:
        study: Study on show.
        choice: Its source.
        predicted: Boxes of the localiser on slices.
        truth: Whether the boxes of the data set may be shown.
    """
    record, volume = choice.record, study.volume
    if record is None or not volume.axes.keeps_slices:
        return
    with st.expander("Correct boxes, give a verdict", icon=":material/rule:", key="annotate"):
        _told()
        try:
            log = annotation_store().read(record.study_id)
        except CSpineError as error:
            show_error(error)
            return
        _history(log)
        if (reason := refusal("to annotate studies")) is not None:
            st.info(literal(reason), icon=":material/lock:")
            return
        index = state.current_slice()
        known = boxes_on_volume(record.boxes, volume) if truth else []
        rows = slice_rows(index, volume, log.current, predicted, known)
        _form(study, record.study_id, log.current, rows, index)


def _told() -> None:
    """Show what became of the last save."""
    if problem := state.recall(_PROBLEM):
        show_error(problem)
        state.remember(_PROBLEM, None)
    if saved := state.recall(_SAVED):
        show_success(saved)
        state.remember(_SAVED, None)


def _history(log: AnnotationLog) -> None:
    for problem in log.problems:
        show_warning(problem)
    current = log.current
    if current is None:
        st.caption("Nobody has annotated this study yet.")
        return
    refused = f" {len(log.refused)} refused versions are in its history." if log.refused else ""
    st.caption(
        literal(
            f"Revision {current.revision} by {current.author}, {current.at:%Y-%m-%d %H:%M} UTC: "
            f"boxes judged: {len(current.boxes)}; {_verdict(current)}.{refused}"
        )
    )


def _verdict(current: StudyAnnotation) -> str:
    if current.fractured is None:
        return "no verdict"
    named = [name for name, y in zip(VERTEBRAE, current.fractured, strict=True) if y]
    return f"fractured: {', '.join(named)}" if named else "not fractured"


def _form(
    study: OpenStudy,
    study_id: str,
    current: StudyAnnotation | None,
    rows: tuple[BoxRow, ...],
    index: int,
) -> None:
    base = 0 if current is None else current.revision
    # A new version, study or slice is another editor: an old one would hold old changes.
    key = f"annotation_{study.fingerprint[:12]}_{index}_{base}"
    with st.form(key, border=False):
        st.markdown(f"**Slice {index}** – a box is judged once it is accepted or rejected")
        if not rows:
            st.caption(
                "No box on this slice. To add one, fill the empty row: its edges in pixels, and "
                "the vertebra."
            )
        st.data_editor(
            rows_frame(rows), key=f"{key}_rows", hide_index=True, num_rows="dynamic",
            column_config=_columns(study), disabled=[SCORE, SOURCE],
        )  # fmt: skip
        given = current is not None and current.fractured is not None
        verdict, named = st.columns([1, 3], vertical_alignment="bottom")
        with verdict:
            st.checkbox(
                "Verdict",
                value=given,
                key=f"{key}_verdict",
                help="On the whole study; naming a vertebra is one as well.",
            )
        with named:
            st.pills(
                "Fractured vertebrae (none: not fractured)", VERTEBRAE, selection_mode="multi",
                default=_named(current), key=f"{key}_named",
            )  # fmt: skip
        initials, note, save = st.columns([1, 3, 1], vertical_alignment="bottom")
        with initials:
            st.text_input(
                "Initials", value=state.recall(_INITIALS, ""), max_chars=4, key=f"{key}_initials"
            )
        with note:
            st.text_input(
                "Note", value="" if current is None else current.note, max_chars=500,
                key=f"{key}_note",
            )  # fmt: skip
        with save:
            st.form_submit_button(
                "Save", icon=":material/save:", width="stretch",
                on_click=partial(_save, key, study, study_id, current, rows, index),
            )  # fmt: skip


def _columns(study: OpenStudy) -> dict[str, Any]:
    rows, columns = study.volume.hu.shape[1:]
    edge = {
        name: st.column_config.NumberColumn(
            f"{name} (px)", min_value=0.0, max_value=float(limit), step=0.01, format="%.2f"
        )
        for name, limit in zip(EDGES, (columns, rows, columns, rows), strict=True)
    }
    return {
        DECISION: st.column_config.SelectboxColumn(options=list(DECISIONS)),
        VERTEBRA: st.column_config.SelectboxColumn(options=["", *VERTEBRAE]),
        SCORE: st.column_config.NumberColumn(format="%.3f"),
        **edge,
    }


def _named(current: StudyAnnotation | None) -> list[str]:
    if current is None or current.fractured is None:
        return []
    return [name for name, y in zip(VERTEBRAE, current.fractured, strict=True) if y]


def _save(
    key: str,
    study: OpenStudy,
    study_id: str,
    current: StudyAnnotation | None,
    rows: tuple[BoxRow, ...],
    index: int,
) -> None:
    """Save what the form holds; called before the page is drawn again."""
    author = str(state.recall(f"{key}_initials", "")).strip().upper()
    state.remember(_INITIALS, author)
    named = state.recall(f"{key}_named") or ()
    given = bool(state.recall(f"{key}_verdict")) or bool(named)
    try:
        changes = state.recall(f"{key}_rows") or {}
        here = judged_boxes(rows, changes, index, study.volume)
        draft = drafted(
            base=0 if current is None else current.revision,
            author=author,
            boxes=(*other_boxes(current, index, study.volume), *here),
            fractured=tuple(name in named for name in VERTEBRAE) if given else None,
            note=str(state.recall(f"{key}_note", "")).strip(),
        )
        saved = save_annotation(study_id, draft)
    except CSpineError as error:
        state.remember(_PROBLEM, str(error))
        return
    state.remember(_SAVED, f"Saved as revision {saved.revision}.")
