"""The index is incremental, survives a kill, and is the same whoever builds it."""

from __future__ import annotations

import hashlib
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from core.dataset import index as index_module
from core.dataset.index import build_index, index_folder, load_index, verify_index
from core.dataset.index_shards import StudyTask, index_study, read_shard, shard_path
from core.dataset.quality import FLAG_COLUMNS
from core.errors import DataRootError, StorageError
from core.system.parallel import Workers
from tests.core.dataset.made_root import (
    HERE,
    add_study,
    files_of,
    index_here,
    study_of,
    write_labels,
)

SLICE_COLUMNS = [
    "study_id", "file", "series_uid", "instance_number", "frame", "slice_index", "role", "z_mm",
    "row_mm", "column_mm", "thickness_mm", "rows", "cols", "transfer_syntax", "bytes", "mtime_ns",
    "sha256",
]  # fmt: skip
STUDY_COLUMNS = [
    "study_id", "n_files", "n_slices", "rows", "cols", "row_mm", "z_spacing_mm", "z_min_step_mm",
    "z_max_step_mm", "thickness_mm", "coverage_mm", "kernel", "labelled", "patient_overall", "C1",
    "C2", "C3", "C4", "C5", "C6", "C7", "n_boxes", "has_mask", "error", *FLAG_COLUMNS,
]  # fmt: skip


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """Three studies of four slices."""
    root = tmp_path_factory.mktemp("template")
    for study in ("1.1", "1.2", "1.3"):
        add_study(root, study, slices=4)
    return root


@pytest.fixture
def root(tmp_path, template) -> Path:
    return Path(shutil.copytree(template, tmp_path / "root"))


@pytest.fixture
def reads(monkeypatch):
    """Names of the files that are read from now on."""
    from core.dataset import index_shards

    names: list[str] = []

    def counted(path, read=index_shards.read_file):
        names.append(f"{path.parent.name}/{path.name}")
        return read(path)

    monkeypatch.setattr(index_shards, "read_file", counted)
    return names


def tables(root: Path, cache: Path) -> tuple[bytes, bytes]:
    folder = index_folder(root, cache)
    return (folder / "index.parquet").read_bytes(), (folder / "studies.parquet").read_bytes()


def test_the_tables_hold_a_row_a_file_and_a_row_a_study(root):
    index = index_here(root)
    assert list(index.slices.columns) == SLICE_COLUMNS
    assert list(index.studies.columns) == STUDY_COLUMNS
    assert (len(index.slices), list(index.studies["study_id"])) == (12, ["1.1", "1.2", "1.3"])
    for row in index.slices.itertuples():
        path = root / "train_images" / row.study_id / row.file
        assert row.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert (row.bytes, row.mtime_ns) == (path.stat().st_size, path.stat().st_mtime_ns)
    on_disk = pq.read_table(index.folder / "index.parquet").column_names
    assert on_disk == SLICE_COLUMNS
    assert not index.synthetic


def test_loading_gives_what_building_gave(root):
    built, loaded = index_here(root), load_index(root, root.parent / "cache")
    pd.testing.assert_frame_equal(loaded.slices, built.slices)
    pd.testing.assert_frame_equal(loaded.studies, built.studies)
    assert load_index(root, root.parent / "elsewhere") is None


def test_generated_data_is_marked(root):
    (root / "phantom.json").write_text("{}")
    assert index_here(root).synthetic


def test_nothing_is_written_into_the_data_set(root):
    before = sorted(root.rglob("*"))
    index_here(root)
    assert sorted(root.rglob("*")) == before


def test_unchanged_files_are_not_read_again(root, reads):
    first = index_here(root)
    assert len(reads) == 12
    reads.clear()
    second = index_here(root)
    assert reads == []
    pd.testing.assert_frame_equal(first.slices, second.slices)
    index_here(root, fresh=True)
    assert len(reads) == 12


def test_only_new_and_changed_files_are_read(root, reads):
    index_here(root)
    reads.clear()
    images = root / "train_images"
    add_study(root, "1.4", slices=4)
    changed, touched, gone = (images / "1.2" / f"{k}.dcm" for k in (1, 2, 4))
    changed.write_bytes(changed.read_bytes()[:-4] + b"\1\2\3\4")
    os.utime(touched, ns=(1, 1))
    gone.unlink()
    shutil.rmtree(images / "1.3")
    index = index_here(root)
    assert sorted(reads) == [
        *(f"1.2/{k}.dcm" for k in (1, 2)),
        *(f"1.4/{k}.dcm" for k in range(1, 5)),
    ]
    assert list(index.studies["study_id"]) == ["1.1", "1.2", "1.4"]
    files = files_of(index, "1.2")
    assert list(files.index) == ["1.dcm", "2.dcm", "3.dcm"]
    assert files.loc["1.dcm", "sha256"] == hashlib.sha256(changed.read_bytes()).hexdigest()
    assert files.loc["2.dcm", "mtime_ns"] == 1
    assert len(list((index.folder / "shards").iterdir())) == 3


def test_a_study_of_which_one_file_changed_is_placed_as_if_all_were_read(root, tmp_path):
    index_here(root)
    path = root / "train_images" / "1.2" / "2.dcm"
    path.write_bytes(path.read_bytes() + b"\0\0")
    (root / "train_images" / "1.2" / "1.dcm").unlink()
    build_index(root, tmp_path / "other", workers=HERE)
    index_here(root)
    assert tables(root, tmp_path / "cache") == tables(root, tmp_path / "other")


def test_labels_are_read_again_without_reading_the_files(root, reads):
    index_here(root)
    reads.clear()
    write_labels(root, {"1.1": (1, 0, 0, 0, 0, 0, 0)})
    index = index_here(root)
    assert bool(study_of(index, "1.1")["C1"])
    assert reads == []


def test_the_same_bytes_come_from_any_workers_in_any_order(root, tmp_path, monkeypatch):
    build_index(root, tmp_path / "a", workers=HERE)
    build_index(root, tmp_path / "b", workers=Workers(jobs=2))

    def shuffled(function, items, run=index_module.run_over, **options):
        items = list(items)
        random.Random(5).shuffle(items)
        return reversed(list(run(function, items, **options)))

    monkeypatch.setattr(index_module, "run_over", shuffled)
    build_index(root, tmp_path / "c", workers=HERE)
    first = tables(root, tmp_path / "a")
    assert first == tables(root, tmp_path / "b")
    assert first == tables(root, tmp_path / "c")


def test_progress_counts_the_studies(root):
    steps: list[tuple[int, int]] = []
    index_here(root, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]


KILLED = """
import sys, time
from pathlib import Path
from typing import Any
import core.dataset.index as module
from core.system.parallel import Workers

real = module.index_study

def slow(task):
    real(task)
    print("done", flush=True)
    time.sleep(0.2)

module.index_study = slow
module.build_index(Path(sys.argv[1]), Path(sys.argv[2]), workers=Workers(jobs=1))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
def test_a_killed_run_is_taken_up_where_it_stopped(root, tmp_path, repo_root, reads):
    for k in range(4, 9):
        add_study(root, f"1.{k}", slices=4)
    cache = tmp_path / "cache"
    command = [sys.executable, "-c", KILLED, str(root), str(cache)]
    with subprocess.Popen(command, cwd=repo_root, stdout=subprocess.PIPE, text=True) as run:
        for _ in range(3):
            assert run.stdout.readline() == "done\n"
        run.send_signal(signal.SIGKILL)
    shards = index_folder(root, cache) / "shards"
    kept = {path.name for path in shards.iterdir() if not path.name.startswith(".")}
    assert 3 <= len(kept) < 8
    assert load_index(root, cache) is None
    index_here(root)
    assert len(reads) == 4 * (8 - len(kept))
    build_index(root, tmp_path / "other", workers=HERE)
    assert tables(root, cache) == tables(root, tmp_path / "other")


def test_leavings_of_a_killed_run_go_after_a_day(root):
    index = index_here(root)
    old, new = (index.folder / "shards" / f".{name}.parquet" for name in ("old", "new"))
    old.touch()
    new.touch()
    os.utime(old, (time.time() - 1e6,) * 2)
    index_here(root)
    assert not old.exists()
    assert new.exists()


def test_tables_that_do_not_belong_together_are_no_index(root, tmp_path):
    index = index_here(root)
    old = (index.folder / "studies.parquet").read_bytes()
    add_study(root, "1.4", slices=2)
    index_here(root)
    (index.folder / "studies.parquet").write_bytes(old)
    assert load_index(root, tmp_path / "cache") is None
    assert len(index_here(root).studies) == 4


@pytest.mark.parametrize(
    "damage", [lambda c: c[:50], lambda _: b"", lambda c: c[:-9] + b"123456789"]
)
def test_a_damaged_shard_is_built_again(root, damage, reads):
    first = index_here(root)
    shard = shard_path(first.folder, "1.2")
    shard.write_bytes(damage(shard.read_bytes()))
    reads.clear()
    second = index_here(root)
    assert sorted(set(name[:3] for name in reads)) == ["1.2"]
    pd.testing.assert_frame_equal(first.slices, second.slices)


def test_a_shard_of_another_version_is_built_again(root, monkeypatch, reads):
    from core.dataset import index_shards

    index_here(root)
    reads.clear()
    monkeypatch.setattr(index_shards, "SHARD_VERSION", "next")
    index_here(root)
    assert len(reads) == 12


def test_a_changed_pixel_is_found_though_size_and_time_stayed(root, tmp_path, reads):
    before = index_here(root)
    path = root / "train_images" / "1.2" / "3.dcm"
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    reads.clear()
    index_here(root)
    assert reads == []
    assert verify_index(root, tmp_path / "cache", workers=HERE) == [path]
    after = index_here(root, fresh=True)
    assert verify_index(root, tmp_path / "cache", workers=HERE) == []
    changed = before.slices["sha256"] != after.slices["sha256"]
    assert before.slices.loc[changed, "file"].tolist() == ["3.dcm"]


def test_verifying_names_files_that_are_new_or_gone(root, tmp_path):
    images = root / "train_images"
    index_here(root)
    (images / "1.1" / "1.dcm").unlink()
    (images / "1.2" / "new.dcm").write_bytes(b"new")
    shutil.rmtree(images / "1.3")
    add_study(root, "1.4", slices=4)
    changed = verify_index(root, tmp_path / "cache", workers=Workers(jobs=2))
    assert changed == [
        images / "1.1" / "1.dcm", images / "1.2" / "new.dcm",
        *(images / study / f"{k}.dcm" for study in ("1.3", "1.4") for k in range(1, 5)),
    ]  # fmt: skip


def test_another_name_of_a_folder_changes_no_study(root, tmp_path, reads):
    before = index_here(root).studies
    (root / "train_images" / "1.3").rename(root / "train_images" / "scan of Monday")
    assert verify_index(root, tmp_path / "cache", workers=HERE) == []
    reads.clear()
    pd.testing.assert_frame_equal(index_here(root).studies, before)
    assert reads == []


def test_verifying_without_an_index_asks_to_build_it(root, tmp_path):
    with pytest.raises(DataRootError, match="python -m core index"):
        verify_index(root, tmp_path / "cache", workers=HERE)


@pytest.mark.parametrize("opens", [False, True])
def test_a_file_that_cannot_be_read_has_a_row_and_is_tried_again(root, monkeypatch, reads, opens):
    real = Path.open
    failing = root / "train_images" / "1.1" / "2.dcm"

    def fail(self: object = None) -> Any:
        raise OSError(5, "Input/output error")

    def open_or_fail(path, *args, **kwargs):
        if path != failing:
            return real(path, *args, **kwargs)
        return FailingStream(path) if opens else fail()

    class FailingStream(io.FileIO):
        readall = fail

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_or_fail)
        index = index_here(root)
    row = files_of(index, "1.1").loc["2.dcm"]
    assert (row["role"], row["sha256"], row["slice_index"]) == ("unreadable", "", -1)
    assert "Input/output error" in study_of(index, "1.1")["error"]
    reads.clear()
    assert study_of(index_here(root), "1.1")["error"] is None
    assert reads == ["1.1/2.dcm"]


def test_a_cache_that_cannot_be_written_is_a_typed_error(root, tmp_path):
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(StorageError):
        index_here(root)


def test_a_wild_instance_number_does_not_stop_the_index(root):
    add_study(root, "1.9", slices=2, instance_numbers=[1, 2**31])
    index = index_here(root)
    assert files_of(index, "1.9")["instance_number"].tolist() == [1, 0]


def test_a_large_file_is_hashed_in_pieces(root, monkeypatch):
    from core.dataset import index_files

    whole = index_here(root)
    monkeypatch.setattr(index_files, "_WHOLE_FILE_BYTES", 100)
    pd.testing.assert_frame_equal(index_here(root, fresh=True).slices, whole.slices)


def test_indexing_one_study_returns_the_number_of_files_read(root, tmp_path):
    task = StudyTask("1.1", root / "train_images" / "1.1", tmp_path / "shard.parquet")
    assert index_study(task) == 4
    assert index_study(task) == 0
    (task.folder / "5.dcm").write_bytes((task.folder / "4.dcm").read_bytes())
    assert index_study(task) == 1
    shard = read_shard(task.shard)
    assert shard.table["role"].to_pylist() == ["slice"] * 4 + ["duplicate"]
    assert shard.facts["flag_duplicate_positions"]
