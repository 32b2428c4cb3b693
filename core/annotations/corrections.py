"""Annotations as truth: they replace boxes and labels of the studies they are about."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from core.annotations.records import StudyAnnotation
from core.annotations.store import AnnotationStore
from core.dataset.rsna import read_studies
from core.errors import AnnotationError
from core.types import StudyRecord

logger = logging.getLogger(__name__)


def corrected(record: StudyRecord, annotation: StudyAnnotation | None) -> StudyRecord:
    """Give a study with the boxes that were kept or drawn, and the labels of its verdict.

    Boxes of a file that the annotation judges are replaced, those of other files stay, unless the
    verdict calls the whole study intact. Without a verdict the labels stay as they are.
    """
    if annotation is None:
        return record
    fractured = record.fractured if annotation.fractured is None else annotation.fractured
    judged = {box.slice_number for box in annotation.boxes}
    intact = annotation.fractured is not None and not any(annotation.fractured)
    others = () if intact else (row for row in record.boxes if row[0] not in judged)
    return replace(record, boxes=(*others, *annotation.table_boxes), fractured=fractured)


def corrected_studies(records: Iterable[StudyRecord], store: AnnotationStore) -> list[StudyRecord]:
    """Correct studies by what is kept about them; unreadable lines are counted in one warning.

    Raises:
        AnnotationError: A file cannot be opened.
    """
    annotated, problems, found = set(store.study_ids()), 0, list[StudyRecord]()
    for record in records:
        if record.study_id not in annotated:
            found.append(record)
            continue
        log = store.read(record.study_id)
        problems += len(log.problems)
        found.append(corrected(record, log.current))
    if problems:
        logger.warning(
            "%d lines of annotations cannot be read; `python -m core annotations list` names them.",
            problems,
        )
    return found


def studies_of(data_root: Path, annotations: Path | None = None) -> list[StudyRecord]:
    """List the studies of a data root, corrected by the annotations in a folder.

    Raises:
        AnnotationError: There is no such folder, or a file in it cannot be opened.
        DataRootError: As for `read_studies`.
    """
    records = read_studies(data_root)
    if annotations is None:
        return records
    if not annotations.is_dir():
        raise AnnotationError(
            f"{annotations} is no folder of annotations; correct `annotations` or leave it out."
        )
    return corrected_studies(records, AnnotationStore(annotations))


def annotations_sha256(annotations: Path) -> str:
    """Digest of what the annotations in a folder hold, for the record of a run."""
    digest, store = hashlib.sha256(), AnnotationStore(annotations)
    for study_id in store.study_ids():
        current = store.current(study_id)
        if current is not None:
            digest.update(current.model_dump_json().encode() + b"\n")
    return digest.hexdigest()
