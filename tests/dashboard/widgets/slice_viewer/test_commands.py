"""The list of tools: each key has one meaning, and the document names all of them."""

from __future__ import annotations

from tests.dashboard.widgets.slice_viewer.javascript import run_script


def test_keys_are_unique_and_documented_as_they_are(repo_root):
    found = run_script(
        ("commands",), "COMMANDS.map(({ name, key, label }) => [name, key, shownKey(key), label])"
    )
    assert len({name for name, *_ in found}) == len({key for _, key, *_ in found}) == len(found)
    assert not {key for _, key, *_ in found} & {*"12345+-=", "Escape", "Enter"}
    document = (repo_root / "docs" / "pages" / "viewer.md").read_text(encoding="utf-8")
    table = document.split("| key | tool |\n|---|---|\n")[1].split("\n\n")[0]
    assert table.splitlines() == [f"| {shown} | {label} |" for _, _, shown, label in found]


def test_keys_are_named_as_the_list_writes_them():
    events = [
        {"key": "z", "ctrlKey": True}, {"key": "Z", "ctrlKey": True, "shiftKey": True},
        {"key": "y", "metaKey": True}, {"key": "Backspace"}, {"key": "N", "shiftKey": True},
        {"key": "Delete", "shiftKey": True}, {"key": " "}, {"key": "?", "shiftKey": True},
    ]  # fmt: skip
    names = run_script(("commands",), "events.map((e) => commandOf(e)?.name)", events=events)
    assert names == ["undo", "redo", "redo", "delete", "previous", "clear", "cine", "help"]
