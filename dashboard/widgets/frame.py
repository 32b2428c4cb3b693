"""Frame of every page: style, title, the data set on show and the standing warnings."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.constants import NOT_FOR_CLINICAL_USE, SYNTHETIC_WARNING
from core.errors import DataRootError
from dashboard.studies.current_set import current_cohort
from dashboard.studies.data_sets import title_of

_STYLES = Path(__file__).resolve().parent.parent


def apply_style(name: str) -> None:
    """Add a stylesheet to the page; that of every page is in it from the start."""
    st.html(_STYLES / name)


def draw(html: str) -> None:
    """Show HTML with inline SVG, which `st.html` would strip; for trusted text only.

    Args:
        html: One block without blank lines.
    """
    st.markdown(html, unsafe_allow_html=True)


def page_header(title: str, question: str) -> DeltaGenerator:
    """Draw the title of a page and the question that it answers.

    Returns:
        The line with both, for a switch of the whole page.
    """
    line = st.container(key="page_head", horizontal=True, vertical_alignment="center", wrap=False)
    line.html(
        f'<header class="lab-header"><h1>{escape(title)}</h1><p>{escape(question)}</p></header>'
    )
    return line


def panel_title(title: str, aid: str = "") -> None:
    """Draw the title of a part of a page, with a line of explanation below it.

    Args:
        title: HTML of the title; text from outside must be escaped.
        aid: HTML of the explanation.
    """
    below = f"<span>{aid}</span>" if aid else ""
    st.html(f'<div class="lab-panel-title">{title}{below}</div>')


def blank(text: str) -> None:
    """Draw HTML where something is missing: what it is and what to do."""
    st.html(f'<div class="lab-blank">{text}</div>')


def figures_list(figures: Mapping[str, str], looks: str = "") -> None:
    """Draw values, each above its name.

    Args:
        figures: HTML of the values by name.
        looks: CSS classes next to `lab-figures`.
    """
    cells = "".join(
        f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in figures.items()
    )
    st.html(f'<dl class="lab-figures {looks}">{cells}</dl>')


def synthetic_badge() -> str:
    """HTML of the mark of generated data; the sidebar has the whole warning."""
    looks = "lab-pill lab-pill-outline"
    return f'<span class="{looks}" title="{escape(SYNTHETIC_WARNING)}">synthetic</span>'


def sidebar_status(other_scan: str = "") -> None:
    """Draw the name of the data set on show, with a warning if it is synthetic.

    Args:
        other_scan: Source of the scan on show if it is not of the data set, in lower case; the
            warning would be false of it.
    """
    name, detail, warning = _data_set()
    if other_scan:
        detail, warning = f"{detail}; the scan on show is from {other_scan}", ""
    st.html(
        f'<div class="lab-side-status"><span class="lab-side-label">Data set</span>'
        f"<strong>{escape(name)}</strong><span>{escape(detail)}</span></div>"
    )
    if warning:
        st.html(f'<div class="lab-side-warning" role="note">{escape(warning)}</div>')


def folded_note(other_scan: str = "") -> None:
    """Draw what stands in the sidebar in a line that shows only where the sidebar is folded.

    Args:
        other_scan: As for `sidebar_status`.
    """
    warning = "" if other_scan else _data_set()[2]
    generated = f'<b title="{escape(warning)}">Synthetic data.</b> ' if warning else ""
    st.html(f'<div class="lab-folded-note">{generated}{escape(NOT_FOR_CLINICAL_USE)}</div>')


def sidebar_footer() -> None:
    """Draw the sentence that belongs on every page."""
    st.html(f'<div class="lab-side-footer">{escape(NOT_FOR_CLINICAL_USE)}</div>')


def _data_set() -> tuple[str, str, str]:
    """Name, detail and warning of the data set on show."""
    try:
        cohort = current_cohort()
    except DataRootError:
        return "Not readable", "see Overview for the reason", ""
    if cohort is None:
        return "None yet", "“make run” prepares synthetic studies", ""
    warning = SYNTHETIC_WARNING if cohort.synthetic else ""
    count = len(cohort.studies)
    detail = f"{count} {'study' if count == 1 else 'studies'}"
    return title_of(cohort.root), detail, warning
