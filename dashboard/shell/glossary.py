"""Glossary dialog of the pages, with the entries of `docs/glossary.md`."""

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
    """One entry of the glossary.

    Attributes:
        section: Heading above the entry.
        term: The term, or several that belong together.
        meaning: Its meaning, one paragraph.
    """

    section: str
    term: str
    meaning: str


def parse_glossary(text: str) -> tuple[GlossaryEntry, ...]:
    """Parse lines like `- **Term** — meaning`, each under a `## Section`; a line may be continued.

    Args:
        text: Markdown of the glossary.
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
    """All entries in the order of the file; none for an installation without its docs."""
    try:
        return parse_glossary(FILE.read_text(encoding="utf-8"))
    except OSError:
        return ()


def matching(entries: tuple[GlossaryEntry, ...], wanted: str) -> tuple[GlossaryEntry, ...]:
    """Entries with a text in their term or meaning, matches in the term first.

    Args:
        entries: Entries to search.
        wanted: Text to search for; case and surrounding blanks are ignored.
    """
    text = wanted.strip().casefold()
    by_term = [entry for entry in entries if text in entry.term.casefold()]
    by_meaning = [e for e in entries if e not in by_term and text in e.meaning.casefold()]
    return tuple(by_term + by_meaning)


def glossary_button() -> None:
    """Draw the button that opens the glossary; nothing if there are no entries."""
    if glossary() and st.button(
        "Glossary", key="glossary_open", type="tertiary", icon=":material/menu_book:",
        help="The terms used on these pages, explained.",
    ):  # fmt: skip
        _show()


@st.dialog("Glossary", width="large")
def _show() -> None:
    wanted = st.text_input(
        "Search for a term", key="glossary_word", placeholder="threshold, window, AUC …"
    )
    found = matching(glossary(), wanted or "")
    if not found:
        st.markdown("No entry contains this text. Try a shorter part of the word.")
    # During a search the best match comes first, whatever its section.
    for section, entries in groupby(found, lambda entry: "" if wanted else entry.section):
        lines = [f"- **{entry.term}** — {entry.meaning}" for entry in entries]
        st.markdown("\n".join([f"##### {section}", "", *lines] if section else lines))
