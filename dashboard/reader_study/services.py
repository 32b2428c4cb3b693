"""What the page lets lecturers and readers do; each function asks for the role itself.

Lecturers are operators. Readers may be anybody who may look, and need the code of the study; what
a reader did is shown to whoever has the reader's token, and to lecturers.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import streamlit as st

from core.errors import ReaderStudyError
from core.reader_study.answers import Answer, answers_csv, study_answers
from core.reader_study.records import AnswerDraft, Answered, ReaderStudy, ReaderStudyPlan
from core.reader_study.results import StudyResults, analyse
from core.reader_study.store import FOLDER_NAME, ReaderLog, ReaderStudyStore
from dashboard.session.access import check_allowed
from dashboard.session.settings import settings
from dashboard.studies.cohort import files_signature

_TO_LECTURE = "to hold reader studies"
_TO_READ = "to take part in reader studies"


def reader_studies() -> ReaderStudyStore:
    """The reader studies of this installation."""
    return ReaderStudyStore(settings().cspine_var / FOLDER_NAME)


def start_study(plan: ReaderStudyPlan) -> ReaderStudy:
    """Make a reader study that readers can join.

    Raises:
        ReaderStudyError: The user may not change anything, or as for `ReaderStudyStore.make`.
        HeldError, StorageError: As for `ReaderStudyStore.make`.
    """
    check_allowed("change", ReaderStudyError, _TO_LECTURE)
    return reader_studies().make(plan)


def stop_study(code: str) -> None:
    """Take no more answers and show the results to the readers.

    Raises:
        ReaderStudyError: The user may not change anything, or as for `ReaderStudyStore.end`.
        HeldError, StorageError: As for `ReaderStudyStore.end`.
    """
    check_allowed("change", ReaderStudyError, _TO_LECTURE)
    reader_studies().end(code)


def delete_study(code: str) -> None:
    """Delete a reader study with all answers.

    Raises:
        ReaderStudyError: The user may not change anything, or as for `ReaderStudyStore.delete`.
        HeldError: As for `ReaderStudyStore.delete`.
    """
    check_allowed("change", ReaderStudyError, _TO_LECTURE)
    reader_studies().delete(code)


def open_studies() -> tuple[ReaderStudy, ...]:
    """All reader studies, the latest first.

    Raises:
        ReaderStudyError: The user is no operator.
    """
    check_allowed("browse", ReaderStudyError, _TO_LECTURE)
    return reader_studies().studies()


def open_progress(code: str) -> tuple[ReaderLog, ...]:
    """What all readers did so far.

    Raises:
        ReaderStudyError: The user is no operator, or as for `ReaderStudyStore.readers`.
    """
    check_allowed("browse", ReaderStudyError, _TO_LECTURE)
    return reader_studies().readers(code)


def open_results(code: str) -> StudyResults | None:
    """Results of a reader study, ended or not; None without an answer.

    Raises:
        ReaderStudyError: The user is no operator, or as for `ReaderStudyStore.readers`.
    """
    check_allowed("browse", ReaderStudyError, _TO_LECTURE)
    return _results(code)


def write_answers(code: str) -> str:
    """All answers as CSV.

    Raises:
        ReaderStudyError: As for `open_results`.
    """
    check_allowed("browse", ReaderStudyError, _TO_LECTURE)
    return answers_csv(_answers(code))


def add_reader(code: str) -> str:
    """Join a reader study; return the token that the reader goes on with.

    Raises:
        ReaderStudyError: The user may not use this server, or as for `ReaderStudyStore.join`.
        HeldError, StorageError: As for `ReaderStudyStore.join`.
    """
    check_allowed("look", ReaderStudyError, _TO_READ)
    return reader_studies().join(code)


def open_place(code: str, token: str) -> tuple[ReaderStudy, ReaderLog]:
    """A reader study, and what the reader with this token did in it.

    Raises:
        ReaderStudyError: The user may not use this server, or as for `ReaderStudyStore.reader`.
    """
    check_allowed("look", ReaderStudyError, _TO_READ)
    store = reader_studies()
    return store.read(code), store.reader(code, token)


def has_ended(code: str, token: str) -> bool:
    """Whether a reader's study has ended, or is not there any more."""
    try:
        study, _ = open_place(code, token)
    except ReaderStudyError:
        return True
    return study.ended is not None


def open_case(code: str, token: str, case: int) -> datetime:
    """Begin a case, or go on with it; return when it was shown first.

    Raises:
        ReaderStudyError: The user may not use this server, or as for `ReaderStudyStore.show`.
        HeldError, StorageError: As for `ReaderStudyStore.show`.
    """
    check_allowed("look", ReaderStudyError, _TO_READ)
    return reader_studies().show(code, token, case)


def keep_answer(code: str, token: str, case: int, draft: AnswerDraft) -> Answered:
    """Keep a reader's answer.

    Raises:
        ReaderStudyError: The user may not use this server, or as for `ReaderStudyStore.answer`.
        HeldError, StorageError: As for `ReaderStudyStore.answer`.
    """
    check_allowed("look", ReaderStudyError, _TO_READ)
    return reader_studies().answer(code, token, case, draft)


def open_own_results(code: str, token: str) -> StudyResults | None:
    """Results for a reader, once the study has ended; None without an answer.

    Raises:
        ReaderStudyError: The study has not ended, or as for `open_place`.
    """
    study, _ = open_place(code, token)
    if study.ended is None:
        raise ReaderStudyError("The results appear once your lecturer has ended the reader study.")
    return _results(code)


def _answers(code: str) -> tuple[Answer, ...]:
    store = reader_studies()
    return study_answers(store.read(code), store.readers(code))


def _results(code: str) -> StudyResults | None:
    folder = reader_studies().folder / code
    return _analysed(str(folder), files_signature(*sorted(folder.glob("**/*.json*"))))


@st.cache_resource(max_entries=16, show_spinner=False)
def _analysed(folder: str, signature: str) -> StudyResults | None:
    """Results by the state of the files: a class asks for them all at once."""
    del signature
    return analyse(_answers(Path(folder).name))
