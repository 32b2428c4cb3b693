"""Studies to look at one after the other, such as the errors of a model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from dashboard.session import state

_WORKLIST: Final = "_worklist"


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One study of a worklist.

    Attributes:
        study_id: StudyInstanceUID.
        text: Why it is in the list, in a few words.
        slice_index: Slice to show first; None for the one that the page chooses.
        vertebra: Vertebra to look at; None where none is known.
    """

    study_id: str
    text: str
    slice_index: int | None = None
    vertebra: str | None = None


@dataclass(frozen=True, slots=True)
class Worklist:
    """Studies to look at, and the networks and thresholds to look at them with.

    Attributes:
        title: What the list holds.
        items: Its studies, in order.
        origin: Page that made it, by the stem of its file.
        networks: Folder names of the vertebra and the fracture bundle; None leaves the choice.
        patient: Patient threshold; None leaves it.
        vertebra: Vertebra threshold; None leaves it.
        place: Index of the item on show.
    """

    title: str
    items: tuple[WorkItem, ...]
    origin: str
    networks: tuple[str, str] | None = None
    patient: float | None = None
    vertebra: float | None = None
    place: int = 0

    @property
    def item(self) -> WorkItem:
        """The item on show."""
        return self.items[self.place]


def current_worklist() -> Worklist | None:
    """The worklist of this session; None without one."""
    return state.recall(_WORKLIST)


def open_worklist(worklist: Worklist, place: int) -> None:
    """Show an item of a new worklist on Diagnosis, with the networks and thresholds of the list.

    Args:
        worklist: The list.
        place: Index of the item.
    """
    state.remember(_WORKLIST, worklist)
    if worklist.networks is not None:
        for key, name in zip(state.NETWORK_KEYS, worklist.networks, strict=True):
            state.remember(key, name)
    state.want_thresholds(worklist.patient, worklist.vertebra)
    go_to_item(place)


def go_to_item(place: int) -> None:
    """Show another item of the worklist on Diagnosis; for callbacks.

    Networks and thresholds that the user has changed meanwhile stay.

    Args:
        place: Index of the item.
    """
    worklist = replace(state.recall(_WORKLIST), place=place)
    state.remember(_WORKLIST, worklist)
    state.open_in_diagnosis(
        worklist.item.study_id, worklist.item.slice_index, worklist.item.vertebra
    )


def leave_worklist() -> None:
    """Forget the worklist; for callbacks."""
    state.remember(_WORKLIST, None)
