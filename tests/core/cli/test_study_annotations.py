"""Annotations from the command line."""

from __future__ import annotations

import pytest

from core.annotations.records import AnnotatedBox, AnnotationDraft
from core.annotations.store import AnnotationStore
from core.dataset.rsna import read_studies
from core.errors import AnnotationConflictError


def _without_boxes(root):
    """A study to whose boxes nothing is added: boxes of slices that nobody judged stay."""
    return next(record for record in read_studies(root) if not record.boxes)


@pytest.fixture
def folder(phantom_root, tmp_path):
    store = AnnotationStore(tmp_path / "var" / "annotations")
    record = _without_boxes(phantom_root)
    box = AnnotatedBox(slice_number=3, xyxy=(1, 2, 5, 8), status="added", vertebra="C2")
    draft = AnnotationDraft(
        base=0, author="AB", boxes=(box,), fractured=(False, True, *[False] * 5)
    )
    store.save(record.study_id, draft)
    with pytest.raises(AnnotationConflictError):
        store.save(record.study_id, draft.model_copy(update={"author": "CD"}))
    return store.folder


def test_annotated_studies_are_listed(run, folder):
    status, out, errors = run("annotations", "list", "--folder", folder)
    assert (status, errors) == (0, "")
    first, last = out.splitlines()
    assert "revision 1  AB" in first
    assert "1 added  fractured: C2" in first
    assert last.startswith("1 annotated studies")
    _, out, _ = run("annotations", "list", "--folder", folder, "--history")
    assert "revision 1, refused  CD" in out


def test_a_corrupt_line_is_named_and_the_rest_is_listed(run, folder):
    path = next(folder.glob("*.jsonl"))
    path.write_bytes(path.read_bytes() + b"damage\n")
    status, out, errors = run("annotations", "list", "--folder", folder)
    assert status == 0
    assert "line 3: it is no annotation" in errors
    assert "revision 1  AB" in out


def test_tables_are_exported(run, folder, phantom_root, tmp_path):
    status, out, errors = run(
        "annotations", "export", "--out", tmp_path / "out", "--data-root", phantom_root,
        "--folder", folder, "--only-annotated",
    )  # fmt: skip
    assert status == 0, errors
    assert out.startswith("1 studies, 1 boxes")
    study = _without_boxes(phantom_root).study_id
    assert (tmp_path / "out" / "train_bounding_boxes.csv").read_text().splitlines()[1:] == [
        f"{study},1,2,4,6,3"
    ]
    assert (tmp_path / "out" / "train.csv").read_text().splitlines()[1:] == [
        f"{study},1,0,1,0,0,0,0,0"
    ]
