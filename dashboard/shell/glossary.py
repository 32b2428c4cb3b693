"""The glossary of `docs/glossary.md`, for the pages: one source for both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Final

import streamlit as st

from core.config import PROJECT_ROOT

FILE: Final = PROJECT_ROOT / "docs" / "glossary.md"


@dataclass(frozen=True, slots=True)
class GlossaryEntry:
    """One word of the glossary.

    Attributes:
        section: Heading that it stands under.
        term: The word, or several that belong together.
        meaning: What it means, one paragraph.
    """

    section: str
    term: str
    meaning: str


def parse_glossary(text: str) -> tuple[GlossaryEntry, ...]:
    """Read lines like `- **Term** — meaning`, each under a `## Section`; a line may be continued.

    Args:
        text: Markdown.
    """
    entries: list[GlossaryEntry] = []
    section, open_entry = "", False
    for line in text.splitlines():
        if line.startswith("## "):
            section, open_entry = line[3:].strip(), False
        elif line.startswith("- **"):
            term, _, meaning = line[4:].partition("** — ")
            entries.append(GlossaryEntry(section, term.strip(), meaning.strip()))
            open_entry = True
        elif open_entry and line.startswith("  "):
            last = entries[-1]
            entries[-1] = GlossaryEntry(last.section, last.term, f"{last.meaning} {line.strip()}")
        else:
            open_entry = False
    return tuple(entries)


@lru_cache(maxsize=1)
def glossary() -> tuple[GlossaryEntry, ...]:
    """All entries, in the file's order; none where an installation comes without its docs."""
    try:
        return parse_glossary(FILE.read_text(encoding="utf-8"))
    except OSError:
        return ()


def matching(entries: tuple[GlossaryEntry, ...], wanted: str) -> tuple[GlossaryEntry, ...]:
    """Entries whose term or meaning holds the text, those with it in the term first.

    Args:
        entries: To look through.
        wanted: What the reader typed; surrounding blanks and case do not count.
    """
    text = wanted.strip().casefold()
    by_term = [entry for entry in entries if text in entry.term.casefold()]
    by_meaning = [e for e in entries if e not in by_term and text in e.meaning.casefold()]
    return tuple(by_term + by_meaning)


def glossary_button() -> None:
    """A button that opens the glossary over the page; nothing where there is none."""
    if glossary() and st.button(
        "Glossary", key="glossary_open", type="tertiary", icon=":material/menu_book:",
        help="The words of these pages, for students.",
    ):  # fmt: skip
        _show()


@st.dialog("Glossary", width="large")
def _show() -> None:
    wanted = st.text_input(
        "Find a word", key="glossary_word", placeholder="threshold, window, AUC …"
    )
    found = matching(glossary(), wanted or "")
    if not found:
        st.markdown("No such word here. Try a shorter piece of it.")
    # While somebody searches, the best match stands first, whatever section it is of.
    for section, entries in groupby(found, lambda entry: "" if wanted else entry.section):
        lines = [f"- **{entry.term}** — {entry.meaning}" for entry in entries]
        st.markdown("\n".join([f"##### {section}", "", *lines] if section else lines))
