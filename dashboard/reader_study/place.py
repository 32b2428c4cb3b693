"""The place of a reader: the code of a study and the reader's token, in the address and session."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import CSpineError
from core.reader_study.records import ReaderStudy
from core.reader_study.store import ReaderLog
from dashboard.reader_study.services import add_reader, open_place, reader_studies
from dashboard.session import link, state
from dashboard.widgets.notices import show_error

CODE, TOKEN = "code", "reader"
"""Query parameters, which a reload goes on with."""
_PLACE, _PROBLEM = "_reader_place", "_reader_problem"


@dataclass(frozen=True, slots=True)
class ReaderPlace:
    """Where a reader is.

    Attributes:
        study: The study.
        token: The reader's token.
        log: What the reader did.
    """

    study: ReaderStudy
    token: str
    log: ReaderLog


def reader_place() -> ReaderPlace | None:
    """The place that this session remembers or the address names; None before joining.

    Raises:
        LinkError: The address names a study or a reader that does not exist.
    """
    link.check(CODE, _known_code, "no reader study here has this code")
    code = link.linked(CODE)
    link.check(
        TOKEN,
        lambda token: token if code and reader_studies().knows(code, token) else None,
        "nobody joined this reader study with it",
    )
    kept: tuple[str, str] | None = state.recall(_PLACE)
    token = link.linked(TOKEN)
    named = (code, token) if code and token else None
    found = named if kept is None or link.came_back() else kept
    if found is None:
        return None
    try:
        place = ReaderPlace(*_opened(*found))
    except CSpineError as error:
        forget_place()
        show_error(error)
        return None
    state.remember(_PLACE, found)
    link.show(CODE, found[0])
    link.show(TOKEN, found[1])
    return place


def linked_code() -> str:
    """Code that the address names; "" without one."""
    return link.linked(CODE) or ""


def join(code: str) -> None:
    """Join a study, as a callback of a button; a problem is shown with the form."""
    try:
        code = "".join(code.split()).upper()
        state.remember(_PLACE, (code, add_reader(code)))
    except CSpineError as error:
        state.remember(_PROBLEM, str(error))


def show_problem() -> None:
    """Show why joining or answering failed, if it did."""
    if problem := state.recall(_PROBLEM):
        show_error(problem)
        state.remember(_PROBLEM, None)


def leave_problem(problem: object) -> None:
    """Leave a problem for the next run."""
    state.remember(_PROBLEM, str(problem))


def forget_place() -> None:
    """Forget the place in this session and its address; for callbacks."""
    state.remember(_PLACE, None)
    link.forget(CODE)
    link.forget(TOKEN)


def _opened(code: str, token: str) -> tuple[ReaderStudy, str, ReaderLog]:
    study, log = open_place(code, token)
    return study, token, log


def _known_code(text: str) -> str | None:
    try:
        return reader_studies().read(text).code
    except CSpineError:
        return None
