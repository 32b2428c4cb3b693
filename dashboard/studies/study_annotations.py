"""Annotations of studies of a data set: whoever may change things may save them."""

from __future__ import annotations

from core.annotations.records import AnnotationDraft, StudyAnnotation
from core.annotations.store import FOLDER_NAME, AnnotationStore
from core.errors import AnnotationError
from dashboard.session.access import check_allowed
from dashboard.session.settings import settings


def annotation_store() -> AnnotationStore:
    """The annotations of this installation."""
    return AnnotationStore(settings().cspine_var / FOLDER_NAME)


def save_annotation(study_id: str, draft: AnnotationDraft) -> StudyAnnotation:
    """Save a version of a study's annotation.

    Raises:
        AnnotationError: The user may not change anything, or as for `AnnotationStore.save`.
        HeldError, StorageError: As for `AnnotationStore.save`.
    """
    check_allowed("change", AnnotationError, "to annotate studies")
    return annotation_store().save(study_id, draft)
