"""Annotations as truth: tables that the program reads as they are, and records of a run."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from core.annotations.corrections import (
    annotations_sha256,
    corrected,
    corrected_studies,
    studies_of,
)
from core.annotations.export import write_tables
from core.annotations.records import AnnotatedBox, AnnotationDraft
from core.annotations.store import AnnotationStore
from core.config import RunConfig
from core.dataset.label_table import read_boxes
from core.dataset.rsna import read_data_set, read_studies
from core.errors import AnnotationError
from core.training.start_up import load_together
from core.types import StudyRecord

ONLY_C3 = tuple(name == 2 for name in range(7))


@pytest.fixture
def store(tmp_path):
    return AnnotationStore(tmp_path / "annotations")


def annotated(record, *, fractured=None):
    """Accept the first true box, reject the second, redraw the others and add one."""
    boxes = []
    for k, (number, xyxy) in enumerate(record.boxes):
        status = ("accepted", "rejected", "redrawn")[min(k, 2)]
        left, top, right, bottom = xyxy
        drawn = xyxy if k < 2 else (left + 0.3, top + 0.1, right + 1.7, bottom + 0.9)
        boxes.append(AnnotatedBox(slice_number=number, xyxy=drawn, status=status, predicted=xyxy))
    boxes.append(AnnotatedBox(slice_number=7, xyxy=(1 / 3, 2.7, 11.11, 19.3), status="added"))
    return AnnotationDraft(base=0, author="AB", boxes=tuple(boxes), fractured=fractured)


def fractured_study(root):
    return next(record for record in read_studies(root) if record.boxes)


def test_an_annotated_study_comes_back_equal_through_the_tables(phantom_root, store, tmp_path):
    record = fractured_study(phantom_root)
    saved = store.save(record.study_id, annotated(record))
    rejected = min(max(len(record.boxes) - 1, 0), 1)
    assert len(saved.table_boxes) == len(record.boxes) - rejected + 1
    better = corrected_studies(read_studies(phantom_root), store)
    other = tmp_path / "root"
    other.mkdir()
    (other / "train_images").symlink_to(phantom_root / "train_images")
    write_tables(better, other)
    data_set = read_data_set(other)
    assert data_set.problems == []
    back = {one.study_id: one for one in data_set.studies}
    assert back[record.study_id].boxes == saved.table_boxes
    for one in better:
        assert back[one.study_id].fractured == one.fractured
        if one.study_id != record.study_id:
            assert back[one.study_id].boxes == one.boxes


def test_a_verdict_replaces_the_labels_and_others_stay(phantom_root, store):
    records = read_studies(phantom_root)
    record = fractured_study(phantom_root)
    assert corrected_studies(records, store) == records
    store.save(record.study_id, annotated(record, fractured=ONLY_C3))
    found = {one.study_id: one for one in corrected_studies(records, store)}
    assert found[record.study_id].fractured == ONLY_C3
    assert found[record.study_id].mask_file == record.mask_file
    assert [found[one.study_id] for one in records if one != record] == [
        one for one in records if one != record
    ]


def test_boxes_of_files_that_nobody_judged_stay(store):
    record = StudyRecord("1.2", Path("x"), (True,) * 7, ((3, (1, 1, 5, 5)), (4, (2, 2, 6, 6))))
    rejected = AnnotatedBox(slice_number=4, xyxy=(2, 2, 6, 6), status="rejected")
    draft = AnnotationDraft(base=0, author="AB", boxes=(rejected,))
    assert corrected(record, store.save("1.2", draft)).boxes == ((3, (1, 1, 5, 5)),)
    intact = AnnotationDraft(base=1, author="AB", boxes=(rejected,), fractured=(False,) * 7)
    assert corrected(record, store.save("1.2", intact)).boxes == ()


def test_any_box_comes_back_equal_through_the_table(store, tmp_path):
    rng = np.random.default_rng(0)
    corners = np.sort(rng.uniform(0, 500, (300, 2, 2)), axis=1).reshape(-1, 4)
    corners[:, 2:] += 1
    boxes = tuple(
        AnnotatedBox(slice_number=k, xyxy=tuple(edges), status="added")
        for k, edges in enumerate(corners.tolist())
    )
    saved = store.save("1.2", AnnotationDraft(base=0, author="AB", boxes=boxes))
    record = corrected(StudyRecord("1.2", tmp_path, (True,) * 7), saved)
    write_tables([record], tmp_path)
    found = read_boxes(tmp_path / "train_bounding_boxes.csv")
    assert found is not None
    table, problems = found
    assert problems == []
    edges = table[["left", "top", "right", "bottom"]].to_numpy()
    assert np.array_equal(edges, [xyxy for _, xyxy in saved.table_boxes])
    assert np.abs(edges - corners).max() <= 1 / 128


def test_an_unlabelled_study_gets_a_label(phantom_root, store, tmp_path):
    record = replace(read_studies(phantom_root)[0], fractured=None, boxes=())
    draft = AnnotationDraft(base=0, author="AB", fractured=(False,) * 7)
    assert write_tables([record], tmp_path / "none")[0].read_text().count("\n") == 1
    store.save(record.study_id, draft)
    labels, boxes = write_tables(corrected_studies([record], store), tmp_path / "out")
    assert labels.read_text().splitlines()[1] == f"{record.study_id},0,0,0,0,0,0,0,0"
    assert boxes.read_text().count("\n") == 1


def test_a_run_with_annotations_sees_the_corrected_boxes(phantom_root, store, tmp_path):
    record = fractured_study(phantom_root)
    saved = store.save(record.study_id, annotated(record))
    config = RunConfig(
        task="localization", data_root=phantom_root, annotations=store.folder, size=64,
        field_mm=80,
    )  # fmt: skip
    seen = []
    kind = SimpleNamespace(load=lambda config, records, *_, **__: seen.extend(records))
    load_together(kind, config, None, None, SimpleNamespace(device="cpu"), SimpleNamespace(world=1))
    assert {one.study_id: one.boxes for one in seen}[record.study_id] == saved.table_boxes
    assert seen == studies_of(phantom_root, store.folder)
    assert studies_of(phantom_root) == read_studies(phantom_root)
    digest = annotations_sha256(store.folder)
    store.save(record.study_id, annotated(record).model_copy(update={"base": 1, "boxes": ()}))
    assert annotations_sha256(store.folder) != digest


def test_a_folder_that_is_not_there_is_named(phantom_root):
    with pytest.raises(AnnotationError, match="is no folder of annotations"):
        studies_of(phantom_root, Path("/nowhere/annotations"))


def test_unreadable_lines_are_counted_in_a_warning_without_names(phantom_root, store, caplog):
    record = fractured_study(phantom_root)
    store.save(record.study_id, annotated(record))
    with (store.folder / f"{record.study_id}.jsonl").open("ab") as stream:
        stream.write(b"damage\n")
    corrected_studies(read_studies(phantom_root), store)
    assert "1 lines of annotations" in caplog.text
    assert record.study_id not in caplog.text
    shutil.rmtree(store.folder)
