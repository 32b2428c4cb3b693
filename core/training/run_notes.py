"""What people write about a run: tags, a note, and that it is put away."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from core.errors import TrainingError
from core.system.atomic_files import write_json

NOTES_FILE: Final = "notes.json"
MOST_TAGS: Final = 12
LONGEST_TAG: Final = 40
LONGEST_NOTE: Final = 4000


@dataclass(frozen=True, slots=True)
class RunNotes:
    """Notes on a run.

    Attributes:
        tags: Short words to find it by.
        note: Text of any length up to `LONGEST_NOTE`.
        archived: Whether lists leave it out unless asked.
    """

    tags: tuple[str, ...] = ()
    note: str = ""
    archived: bool = False

    def __post_init__(self) -> None:
        if len(self.tags) > MOST_TAGS or any(len(tag) > LONGEST_TAG for tag in self.tags):
            raise TrainingError(
                f"A run has at most {MOST_TAGS} tags of {LONGEST_TAG} characters; shorten them."
            )
        if len(self.note) > LONGEST_NOTE:
            raise TrainingError(
                f"A note has at most {LONGEST_NOTE:,} characters, not {len(self.note):,}; "
                "shorten it."
            )


def tags_of(text: str) -> tuple[str, ...]:
    """Tags in a text that separates them by commas; each once, whatever its capitals."""
    found: dict[str, str] = {}
    for word in text.split(","):
        tag = " ".join(word.split())
        if tag:
            found.setdefault(tag.casefold(), tag)
    return tuple(found.values())


def read_notes(folder: Path) -> RunNotes:
    """Read the notes on a run; empty ones if nobody has written any.

    Raises:
        TrainingError: The file is damaged.
    """
    file = folder / NOTES_FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return RunNotes(
            tags=tuple(map(str, content["tags"])),
            note=str(content["note"]),
            archived=bool(content["archived"]),
        )
    except FileNotFoundError:
        return RunNotes()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TrainingError(f"{file} cannot be read; correct or remove it.") from error


def write_notes(folder: Path, notes: RunNotes) -> None:
    """Replace the notes on a run.

    Raises:
        TrainingError: The folder holds no run any more.
        StorageError: The file cannot be written.
    """
    if not folder.is_dir():
        raise TrainingError(f"{folder} holds no run any more; nothing was written.")
    write_json(folder / NOTES_FILE, asdict(notes))
