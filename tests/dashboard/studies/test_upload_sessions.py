"""Uploads end with their session, and with the start of a server what a dead one left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.config import Settings
from core.dicom.series import read_series
from core.errors import DicomSeriesError, WorkerError
from core.prepared import series_digests
from dashboard.studies.confined import derived_folder, read_upload
from dashboard.studies.held_uploads import HeldUploads, remove_abandoned
from dashboard.studies.uploads import discard_uploads
from tests.core.dicom.dicom_factory import made_hu, write_ct_series

HOLD = """
import sys
from core.config import Settings
from dashboard.studies.held_uploads import HeldUploads
held = HeldUploads("other", Settings())
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path / "var"))
    return Settings()


def uploaded(settings, session) -> Path:
    folder = settings.cspine_var / "uploads" / session / "series"
    write_ct_series(folder, made_hu())
    return folder


def test_what_a_session_uploaded_goes_with_it_and_nothing_else(settings):
    mine, other = uploaded(settings, "mine"), uploaded(settings, "other")
    held = HeldUploads("mine", settings)
    (derived_folder("mine", settings) / "predictions").mkdir(parents=True)
    held.remove()
    assert not mine.parent.exists()
    assert other.is_dir()


@pytest.mark.slow
def test_a_start_removes_what_no_living_server_holds(settings, repo_root):
    left, other, mine = (uploaded(settings, name) for name in ("left", "other", "mine"))
    held = HeldUploads("mine", settings)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=repo_root,
    ) as server:  # fmt: skip
        assert server.stdout.readline() == "held\n"
        assert remove_abandoned(settings) == 1
        assert not left.parent.exists()
        assert other.is_dir()
        assert mine.is_dir()
        server.kill()
        server.wait()
        assert remove_abandoned(settings) == 1
        assert not other.parent.exists()
    held.remove()
    assert remove_abandoned(settings) == 0


@pytest.mark.slow
def test_an_open_tab_keeps_its_upload_for_days_and_through_a_jump_of_the_clock(settings, repo_root):
    left, other, young = (uploaded(settings, name).parent for name in ("left", "other", "young"))
    for folder in (left, other):
        os.utime(folder, (0, 0))
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=repo_root,
    ) as server:  # fmt: skip
        assert server.stdout.readline() == "held\n"
        discard_uploads("mine", settings)
        assert not left.exists()
        assert other.is_dir()
        assert young.is_dir()
        server.kill()
    discard_uploads("mine", settings)
    assert not other.exists()


def test_no_lock_stays_behind_and_a_session_may_hold_again(settings):
    for _ in range(2):
        held = HeldUploads("mine", settings)
        uploaded(settings, "mine")
        assert remove_abandoned(settings) == 0
        held.remove()
        assert not list((settings.cspine_var / "uploads" / ".sessions").iterdir())


def test_no_uploads_need_no_removal(settings):
    assert remove_abandoned(settings) == 0


def test_an_upload_is_read_elsewhere_as_it_would_be_here(settings):
    folder = uploaded(settings, "mine")
    told = []
    volume = read_upload(folder, "mine", settings, lambda *count: told.append(count))
    here = read_series(folder, jobs=1)
    assert np.array_equal(volume.hu, here.hu)
    assert np.array_equal(volume.affine, here.affine)
    assert volume.notes == here.notes
    assert volume.source_files == here.source_files
    assert told[-1] == (5, 5)
    kept = {path for path in settings.cspine_var.rglob("*.npy")}
    assert kept
    assert all(derived_folder("mine", settings) in path.parents for path in kept)


def test_this_process_never_parses_an_upload(settings, monkeypatch):
    for name in ("series_axes", "fingerprint_folder"):
        monkeypatch.setattr(series_digests, name, None)
    assert read_upload(uploaded(settings, "mine"), "mine", settings).n_slices == 5


def test_an_upload_that_cannot_be_read_says_so_in_the_readers_words(settings):
    folder = uploaded(settings, "mine")
    (folder / "2.dcm").write_bytes((folder / "2.dcm").read_bytes()[:-20])
    with pytest.raises(DicomSeriesError, match=r"2\.dcm: its pixel data is truncated"):
        read_upload(folder, "mine", settings)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces the limit")
def test_an_upload_that_needs_too_much_memory_is_refused_in_words(settings, monkeypatch):
    monkeypatch.setenv("UPLOAD_MEMORY_MIB", "256")
    folder = settings.cspine_var / "uploads" / "mine" / "series"
    paths = write_ct_series(folder, np.zeros((1, 1024, 1024), np.int16), syntax="jpeg-ls")
    import pydicom

    dataset = pydicom.dcmread(paths[0])
    for number in range(2, 161):
        dataset.ImagePositionPatient = [0, 0, float(number)]
        dataset.InstanceNumber = number
        dataset.save_as(folder / f"{number}.dcm")
    with pytest.raises(WorkerError, match="more memory"):
        read_upload(folder, "mine", Settings())
