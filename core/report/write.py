"""From a DICOM folder to a report on disk."""

from __future__ import annotations

from pathlib import Path

from core.dataset.rsna import record_of
from core.dicom.series import read_series
from core.errors import ConfigError
from core.models.pairs import BundlePair
from core.report.html import render_html
from core.report.study import StudyReport, build_report
from core.system.atomic_files import write_bytes
from core.types import Progress


def rendered(report: StudyReport, suffix: str) -> bytes:
    """A report as the bytes of a file.

    Args:
        report: What it says.
        suffix: ".html" or ".pdf".

    Raises:
        ConfigError: Another suffix.
    """
    if suffix == ".html":
        return render_html(report).encode()
    if suffix == ".pdf":
        from core.report.pdf import render_pdf

        return render_pdf(report)
    raise ConfigError(
        f"A report is written as .html or .pdf, not as {suffix!r}; choose one of the two."
    )


def write_report(
    folder: Path,
    out: Path,
    pair: BundlePair,
    *,
    device: str = "auto",
    progress: Progress | None = None,
) -> StudyReport:
    """Read and predict one study and write its report.

    Args:
        folder: The DICOM files of one study; in a data root, its truth is told too.
        out: `.html` or `.pdf`.
        pair: The networks.
        device: As `pick_device` takes it.
        progress: Called with slices predicted and slices in all.

    Raises:
        ConfigError: `out` has another ending.
        DicomSeriesError: The series cannot be read.
        BundleError, DeviceError, StorageError: As their parts raise them.
    """
    if out.suffix not in {".html", ".pdf"}:
        raise ConfigError(f"{out} is no report's name; give a file that ends in .html or .pdf.")
    volume = read_series(folder)
    from core.inference.boxes.study_scores import load_predictor

    found = load_predictor(pair, device=device).predict_with_boxes(volume, progress=progress)
    truth, synthetic = known_of(folder)
    report = build_report(
        volume, found.predictions, pair, raw=found.raw, truth=truth, synthetic=synthetic
    )
    write_bytes(out, rendered(report, out.suffix))
    return report


def known_of(folder: Path) -> tuple[tuple[bool, ...] | None, bool]:
    """Truth y_j and whether the study is generated, where its folder lies in a data root."""
    found, synthetic = record_of(folder)
    return (None if found is None else found.fractured), synthetic
