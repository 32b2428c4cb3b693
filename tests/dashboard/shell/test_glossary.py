from __future__ import annotations

from dashboard.shell.glossary import GlossaryEntry, glossary, matching, parse_glossary


def test_entries_are_read_with_their_sections_and_continued_lines():
    text = (
        "# Title\n\nAn introduction.\n\n## One\n\n- **A, b** — first\n  and on.\n- **C** — second "
        "— with a dash.\n\nNot an entry.\n\n## Two\n\n- **D** — third.\n"
    )
    assert parse_glossary(text) == (
        GlossaryEntry("One", "A, b", "first and on."),
        GlossaryEntry("One", "C", "second — with a dash."),
        GlossaryEntry("Two", "D", "third."),
    )


def test_the_shipped_glossary_is_read_whole(repo_root):
    text = (repo_root / "docs" / "glossary.md").read_text(encoding="utf-8")
    entries = glossary()
    assert len(entries) == text.count("\n- **") > 30
    assert all(entry.section and entry.term and entry.meaning.endswith(".") for entry in entries)
    terms = [entry.term for entry in entries]
    assert len(set(terms)) == len(terms)


def test_a_search_finds_terms_before_meanings_and_ignores_case():
    entries = (
        GlossaryEntry("s", "Window", "shows bone."),
        GlossaryEntry("s", "Bone", "hard."),
        GlossaryEntry("s", "Air", "nothing."),
    )
    assert [entry.term for entry in matching(entries, " bone ")] == ["Bone", "Window"]
    assert matching(entries, "") == entries
    assert matching(entries, "xyz") == ()
