"""An upload that names a patient: nothing of it leaves its session, nothing of it outlives it."""

from __future__ import annotations

import io
import json
import logging
import zipfile

import numpy as np
import pytest

from core.dicom.series import read_series
from core.inference.outputs import SLICES_FILE, read_slices
from core.models.pairs import choose_pair
from core.report.study import build_report
from core.report.write import rendered
from dashboard.session.session_end import forget_session
from dashboard.studies.served_bytes import PIXELS
from tests.core.dicom.dicom_factory import write_ct_series
from tests.dashboard.fixtures import at_work, workplace
from tests.dashboard.workplace import made_neck
from tests.pages.driver import html, open_page, viewer, wait_for_verdict
from tests.robustness.markers import WORDS, contents, found_in, found_in_bytes, plant

__all__ = ["at_work", "workplace"]

UID = "1.2.826.0.1.73"


def marked_zip(folder) -> bytes:
    """A zip of a series full of markers; names of folder and files name the patient too."""
    paths = write_ct_series(folder, made_neck(3), spacing_mm=(3.0, 0.8, 0.8), study_uid=UID,
                            edit=plant)  # fmt: skip
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number, path in enumerate(paths):
            archive.write(path, f"{WORDS[0]}/{WORDS[1]}-{number}.dcm")
    return stream.getvalue()


@pytest.fixture
def opened(at_work, tmp_path, monkeypatch, caplog):
    """Diagnosis with the marked upload, read by the networks; every log is kept."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("RSNA_CACHE", str(tmp_path / "var" / "cache"))
    content = marked_zip(tmp_path / "source")
    app = open_page("diagnosis")
    app.button_group(key="source").set_value("Upload").run()
    app.file_uploader[0].upload(f"{WORDS[0]}.zip", content, "application/zip").run()
    return wait_for_verdict(app)


@pytest.mark.slow
def test_an_upload_names_nobody_outside_its_files_and_ends_with_its_session(
    opened, at_work, tmp_path, caplog
):
    var = tmp_path / "var"
    data = viewer(opened)
    shown = [html(opened), json.dumps(data), json.dumps(dict(opened.query_params))]
    shown += [str(opened.main), str(opened.sidebar)]
    assert found_in_bytes("\n".join(shown).encode()) == []
    assert found_in_bytes(caplog.text.encode()) == []
    source = PIXELS.find(data["source"], data["proof"])
    assert found_in_bytes(np.ascontiguousarray(source.slices(0)).tobytes()) == []

    hits = found_in(var)
    assert any(name.startswith("uploads/") for name in hits)
    (table,) = (var / "uploads").glob("*/derived/predictions/*/slices.parquet")
    # Beside the files themselves only the list of their names, in the session's own folder.
    others = [n for n in hits if "/derived/" in n or not n.startswith("uploads/")]
    assert {name.rsplit("/", 1)[1] for name in others} <= {"entry.json"}
    kept = [path.suffix for path in (var / "cache").rglob("*") if path.is_file()]
    assert not {".npy", ".npz", ".parquet"} & set(kept)

    volume = read_series(tmp_path / "source")
    report = build_report(
        volume, read_slices(table.parent / SLICES_FILE)[0], choose_pair(at_work.checkpoints),
        truth=None, synthetic=False,
    )  # fmt: skip
    for suffix in (".html", ".pdf"):
        (tmp_path / f"report{suffix}").write_bytes(rendered(report, suffix))
        assert found_in_bytes(b"\n".join(contents(tmp_path / f"report{suffix}"))) == []

    # What the server does when a browser is gone.
    forget_session(table.relative_to(var / "uploads").parts[0])
    assert not table.exists()
    assert found_in(var) == {}
