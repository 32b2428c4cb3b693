"""Prediction over many studies gives the same files in any process and after interruption."""

import contextlib
import json
import shutil

import pandas as pd
import pydicom
import pytest

from core.dataset.study_search import studies_at
from core.errors import BundleError, DeviceError, DicomSeriesError, WorkerError
from core.inference import batch
from core.inference.batch import predict_folder
from core.inference.partial_results import PARTS_FOLDER, part_key
from core.models.pairs import choose_pair
from core.system.parallel import Outcome, Workers


@pytest.fixture
def pair(untrained_bundles):
    return choose_pair(untrained_bundles)


@pytest.fixture
def reads(monkeypatch):
    """Names of the studies that were read in this process."""
    names = []
    read_series = batch.read_series

    def counted(folder, **options):
        names.append(folder.name)
        return read_series(folder, **options)

    monkeypatch.setattr(batch, "read_series", counted)
    return names


@pytest.fixture
def studies(phantom_root):
    return sorted(folder.name for folder in (phantom_root / "train_images").iterdir())


def slices(folder):
    return pd.read_parquet(folder / "slices.parquet")


class KillError(Exception):
    """As a kill: nothing below catches it."""


def stop_at(count):
    def progress(done, _):
        if done == count:
            raise KillError

    return progress


@pytest.mark.slow
def test_processes_and_this_process_write_the_same_rows_in_the_same_order(
    phantom_root, pair, tmp_path, studies
):
    predict_folder(phantom_root, tmp_path / "here", pair, device="cpu")
    predict_folder(phantom_root, tmp_path / "there", pair, device="cpu", workers=Workers(jobs=2))
    here = slices(tmp_path / "here")
    pd.testing.assert_frame_equal(here, slices(tmp_path / "there"), rtol=1e-5)
    assert list(here["study_id"].unique()) == studies
    summaries = json.loads((tmp_path / "there" / "predictions.json").read_text())
    assert [study["study_id"] for study in summaries] == studies


@pytest.mark.slow
def test_a_run_that_was_cut_off_reads_only_what_it_had_not_finished(
    phantom_root, pair, tmp_path, reads, studies
):
    with pytest.raises(KillError):
        predict_folder(phantom_root, tmp_path / "out", pair, progress=stop_at(2))
    assert not (tmp_path / "out" / "slices.parquet").exists()
    reads.clear()
    calls = []
    summary = predict_folder(
        phantom_root, tmp_path / "out", pair, progress=lambda *call: calls.append(call)
    )
    # The kill came when the second study was done but not yet kept.
    assert reads == studies[1:]
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert summary.n_studies == 3
    predict_folder(phantom_root, tmp_path / "whole", pair)
    pd.testing.assert_frame_equal(slices(tmp_path / "out"), slices(tmp_path / "whole"))


@pytest.mark.slow
def test_parts_go_when_all_is_joined(phantom_root, pair, tmp_path):
    predict_folder(phantom_root, tmp_path, pair)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "boxes.csv", "predictions.json", "slices.parquet",
    ]  # fmt: skip


def test_a_repaired_study_is_predicted_without_repeating_the_others(
    phantom_root, pair, tmp_path, reads, studies
):
    root = tmp_path / "in"
    for name in studies[:2]:
        shutil.copytree(phantom_root / "train_images" / name, root / name)
    broken = root / studies[2]
    broken.mkdir()
    (broken / "1.dcm").write_bytes(b"not an image")
    first = predict_folder(root, tmp_path / "out", pair)
    assert first.n_studies == 2
    assert first.notes[0].startswith(f"Left out: {studies[2]}")
    shutil.rmtree(broken)
    shutil.copytree(phantom_root / "train_images" / studies[2], broken)
    reads.clear()
    second = predict_folder(root, tmp_path / "out", pair)
    assert reads == [studies[2]]
    assert second.n_studies == 3
    assert not (tmp_path / "out" / PARTS_FOLDER).exists()


@pytest.mark.slow
def test_a_damaged_part_is_made_again(phantom_root, pair, tmp_path, reads, studies):
    with pytest.raises(KillError):
        predict_folder(phantom_root, tmp_path, pair, progress=stop_at(3))
    parts = sorted((tmp_path / PARTS_FOLDER).iterdir())
    assert len(parts) == 2
    (parts[0] / "slices.parquet").write_bytes(b"PAR1 cut off")
    (parts[1] / "predictions.json").unlink()
    reads.clear()
    assert predict_folder(phantom_root, tmp_path, pair).n_studies == 3
    assert reads == studies


def test_a_part_belongs_to_the_files_and_to_the_networks(tmp_path):
    file = tmp_path / "1.dcm"
    file.write_bytes(b"abc")
    key = part_key(tmp_path, "networks")
    assert part_key(tmp_path, "networks") == key
    assert part_key(tmp_path, "other networks") != key
    file.write_bytes(b"abcd")
    assert part_key(tmp_path, "networks") != key


def test_a_study_whose_worker_dies_is_left_out_and_named(
    phantom_root, pair, tmp_path, monkeypatch, studies
):
    def all_but_the_first(function, items, **_):
        yield Outcome(items[0], None, WorkerError("Every process that took it died."))
        for item in items[1:]:
            yield Outcome(item, function(item))

    monkeypatch.setattr(batch, "run_over", all_but_the_first)
    summary = predict_folder(phantom_root, tmp_path, pair)
    assert summary.n_studies == 2
    assert summary.notes[0].startswith(f"Left out: {studies[0]}: Every process")


def test_when_no_study_can_be_read_the_reason_is_raised(pair, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "1.dcm").write_bytes(b"not an image")
    with pytest.raises(DicomSeriesError):
        predict_folder(tmp_path / "in", tmp_path / "out", pair)


def test_a_wrong_device_or_bundle_stops_the_run(phantom_root, pair, tmp_path, untrained_bundles):
    with pytest.raises(DeviceError):
        predict_folder(phantom_root, tmp_path, pair, device="abacus")
    copied = tmp_path / "bundles"
    shutil.copytree(untrained_bundles, copied)
    broken = choose_pair(copied)
    weights = broken.fracture.weights_file
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(BundleError):
        predict_folder(phantom_root, tmp_path / "out", broken)


@pytest.mark.slow
def test_workers_get_paths_that_hold_in_any_working_folder(
    phantom_root, pair, tmp_path, monkeypatch
):
    sent = []

    def somewhere_else(function, items, **_):
        sent.extend(items)
        with contextlib.chdir("/"):
            outcomes = [Outcome(item, function(item)) for item in items]
        yield from outcomes

    monkeypatch.setattr(batch, "run_over", somewhere_else)
    monkeypatch.chdir(phantom_root.parent)
    relative = phantom_root.relative_to(phantom_root.parent)
    summary = predict_folder(relative, tmp_path, pair, workers=Workers(jobs=2))
    assert summary.n_studies == len(sent) == 3
    assert all(study.folder.is_absolute() for study in sent)


@pytest.fixture
def two_series(phantom_root, tmp_path, studies):
    """One study with a folder per series: the whole one, and its first 20 slices."""
    whole = phantom_root / "train_images" / studies[0]
    shutil.copytree(whole, tmp_path / "STUDY" / "bone")
    for file in sorted(whole.iterdir(), key=lambda f: int(f.stem))[:20]:
        ds = pydicom.dcmread(file)
        ds.SeriesInstanceUID += ".9"
        (tmp_path / "STUDY" / "soft").mkdir(exist_ok=True)
        ds.save_as(tmp_path / "STUDY" / "soft" / file.name)
    return tmp_path / "STUDY"


def test_a_study_with_a_folder_per_series_is_one_study(two_series, pair, tmp_path, studies):
    summary = predict_folder(two_series, tmp_path / "out", pair)
    assert summary.n_studies == 1
    content = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert content["study_id"] == studies[0]
    assert content["n_slices"] == len(list((two_series / "bone").iterdir()))
    assert any("2" in note for note in summary.notes)


@pytest.mark.slow
def test_the_names_of_folders_change_no_prediction(
    phantom_root, pair, tmp_path, two_series, studies
):
    root = tmp_path / "in"
    for k, name in enumerate(studies):
        shutil.copytree(phantom_root / "train_images" / name, root / f"visit {9 - k}" / "CT")
    two_series.rename(root / "zzz")
    shutil.rmtree(root / "visit 9")
    (root / "viewer").mkdir()
    (root / "viewer" / "readme.txt").write_text("hello")
    predict_folder(root, tmp_path / "out", pair, device="cpu")
    predict_folder(phantom_root, tmp_path / "whole", pair, device="cpu")
    pd.testing.assert_frame_equal(slices(tmp_path / "out"), slices(tmp_path / "whole"), rtol=1e-5)
    assert not (tmp_path / "out" / PARTS_FOLDER).exists()


@pytest.mark.slow
def test_a_study_that_is_found_twice_is_written_once_and_nothing_is_lost(
    phantom_root, pair, tmp_path, studies
):
    # A file of another study comes first in a folder, by which the folder is known.
    root = tmp_path / "in"
    shutil.copytree(phantom_root / "train_images" / studies[0], root / "a")
    shutil.copytree(phantom_root / "train_images" / studies[0], root / "b")
    stray = pydicom.dcmread(next((phantom_root / "train_images" / studies[1]).iterdir()))
    stray.save_as(root / "b" / "0.dcm")
    shutil.copytree(phantom_root / "train_images" / studies[2], root / "c")
    summary = predict_folder(root, tmp_path / "out", pair)
    assert list(slices(tmp_path / "out")["study_id"].unique()) == [studies[0], studies[2]]
    assert any("was found twice" in note for note in summary.notes)


def test_studies_without_a_uid_are_known_by_their_folders(phantom_root, pair, tmp_path, studies):
    for k, name in enumerate(studies[:2]):
        (tmp_path / "in" / f"scan{k}").mkdir(parents=True)
        for file in (phantom_root / "train_images" / name).iterdir():
            ds = pydicom.dcmread(file)
            del ds.StudyInstanceUID
            ds.save_as(tmp_path / "in" / f"scan{k}" / file.name)
    predict_folder(tmp_path / "in", tmp_path / "out", pair)
    assert list(slices(tmp_path / "out")["study_id"].unique()) == ["scan0", "scan1"]


def test_hidden_files_and_folders_are_no_studies(phantom_root, tmp_path, studies):
    (tmp_path / ".DS_Store").touch()
    (tmp_path / ".cache").mkdir()
    (tmp_path / studies[0]).symlink_to(phantom_root / "train_images" / studies[0])
    assert [record.folder for record in studies_at(tmp_path).records] == [tmp_path / studies[0]]
