"""Nothing that names a patient leaves the DICOM files: not into caches, outputs, logs or prints."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

from core.constants import VERTEBRAE
from tests.core.dicom.dicom_factory import write_ct_series
from tests.robustness.markers import MARKERS, WORDS, found_in, found_in_bytes, plant

GOOD, CUT_OFF = "1.2.826.0.1.71", "1.2.826.0.1.72"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two studies full of markers, the second with a file that is cut off in its pixels."""
    root = tmp_path_factory.mktemp("marked") / "root"
    hu = np.random.default_rng(0).integers(-1000, 1500, (6, 48, 48)).astype(np.int16)
    for uid in (GOOD, CUT_OFF):
        paths = write_ct_series(
            root / "train_images" / uid, hu, spacing_mm=(3.0, 0.8, 0.8), study_uid=uid, edit=plant
        )
    paths[2].write_bytes(paths[2].read_bytes()[:-900])
    header = "StudyInstanceUID,patient_overall," + ",".join(VERTEBRAE)
    zeros = ",".join("0" * 8)
    (root / "train.csv").write_text(f"{header}\n{GOOD},{zeros}\n{CUT_OFF},{zeros}\n")
    return root


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("RSNA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path / "var"))
    (tmp_path / "out").mkdir()
    return tmp_path


def test_the_markers_are_in_the_files_that_are_read(root):
    hits = found_in(root / "train_images" / GOOD)
    assert len(hits) == 6
    assert set(hits["1.dcm"]) == set(WORDS)


def test_a_marker_in_a_table_or_an_archive_would_be_found(tmp_path):
    pd.DataFrame({"name": [MARKERS["InstitutionName"]] * 500}).to_parquet(tmp_path / "t.parquet")
    np.savez_compressed(tmp_path / "a.npz", note=np.array([MARKERS["PatientID"]]))
    (tmp_path / "Zyxprivat.txt").write_text("")
    assert set(found_in(tmp_path)) == {"t.parquet", "a.npz", "Zyxprivat.txt"}


COMMANDS = {
    "index": ("index", "ROOT", "--report", "OUT/report.html", "--jobs", "1"),
    "cache": ("cache", "ROOT", "--size", "64", "--jobs", "1"),
    "viewer": ("cache", "ROOT", "--viewer", "--jobs", "1"),
    "predict": ("predict", "ROOT", "--out", "OUT/all", "--jobs", "1"),
    "one study": ("predict", f"ROOT/train_images/{GOOD}", "--out", "OUT/one"),
    "broken study": ("predict", f"ROOT/train_images/{CUT_OFF}", "--out", "OUT/two"),
    "report": ("report", f"ROOT/train_images/{GOOD}", "--out", "OUT/report.html"),
    "pdf": ("report", f"ROOT/train_images/{GOOD}", "--out", "OUT/report.pdf"),
    "evaluate": ("evaluate", "OUT/all", "--truth", "ROOT"),
}


@pytest.mark.slow
def test_no_command_writes_or_prints_what_names_a_patient(root, place, run, caplog):
    caplog.set_level(logging.DEBUG)
    ended = {}
    for name, command in COMMANDS.items():
        words = [w.replace("ROOT", str(root)).replace("OUT", str(place / "out")) for w in command]
        status, out, err = run(*words)
        ended[name] = (status, (out + err)[-300:])
        assert found_in_bytes((out + err).encode()) == [], name
    statuses = {name: status for name, (status, _) in ended.items()}
    # Two studies of one class have no ROC curve; evaluating them may be refused, in words.
    assert {name for name, status in statuses.items() if status not in (0, 2)} == set()
    assert {name for name, status in statuses.items() if status == 2} <= {
        "broken study", "evaluate",
    }, ended  # fmt: skip
    assert found_in_bytes(caplog.text.encode()) == []
    assert found_in(place) == {}
    written = {path.suffix for path in place.rglob("*") if path.is_file()}
    assert {".parquet", ".json", ".html", ".pdf", ".csv", ".npy"} <= written
