"""From one study's findings to DICOM objects in a folder or an archive."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from core.annotations.store import AnnotationStore
from core.constants import N_VERTEBRAE
from core.dataset.masks import load_vertebra_mask
from core.dataset.rsna import record_of
from core.dicom.series import read_series
from core.errors import ConfigError
from core.models.bundles import BundleInfo
from core.models.pairs import BundlePair
from core.report.objects.documents import encapsulated_pdf, key_slices
from core.report.objects.findings import Findings, annotated_boxes, gather_findings
from core.report.objects.measurements import measurement_report
from core.report.objects.segmentation import segmentation
from core.report.objects.source import SourceSeries, read_source
from core.report.study import build_report
from core.report.write import rendered
from core.system.atomic_files import write_bytes
from core.types import CTVolume, Progress

Kind = Literal["seg", "sr", "pdf", "key-slices"]
"""Vertebrae, boxes and scores, the report, pictures."""
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


@dataclass(frozen=True, slots=True, eq=False)
class Vertebrae:
    """Vertebrae of a study.

    Attributes:
        labels: uint8 (z, y, x) on the volume's grid, 1..7 C1..C7, 8..19 T1..T12.
        algorithm: Name of the network that drew them; None where they are a truth.
    """

    labels: NDArray[np.uint8]
    algorithm: str | None = None


def made_objects(
    source: SourceSeries,
    findings: Findings | None,
    vertebrae: Vertebrae | None = None,
    *,
    kinds: Collection[Kind] = KINDS,
) -> dict[str, Dataset]:
    """Make the objects that can be made, by the name of their file.

    Args:
        source: The series.
        findings: Scores and boxes; None for a segmentation alone.
        vertebrae: For a segmentation; None for none.
        kinds: What is wanted.

    Raises:
        DataRootError: No vertebra is labelled.
    """
    made: dict[str, Dataset] = {}
    if "seg" in kinds and vertebrae is not None:
        made["vertebrae_seg.dcm"] = segmentation(
            source, vertebrae.labels, algorithm=vertebrae.algorithm
        )
    if findings is None:
        return made
    if "sr" in kinds:
        made["findings_sr.dcm"] = measurement_report(source, findings)
    if "pdf" in kinds:
        made["report_pdf.dcm"] = encapsulated_pdf(source, rendered(findings.report, ".pdf"))
    if "key-slices" in kinds:
        for number, picture in enumerate(key_slices(source, findings), start=1):
            made[f"key_slice_{number:02d}.dcm"] = picture
    return made


def file_bytes(made: Dataset) -> bytes:
    """Return an object as the bytes of a DICOM file."""
    stream = io.BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def zipped(objects: dict[str, Dataset]) -> bytes:
    """Return objects as one zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, made in objects.items():
            archive.writestr(name, file_bytes(made))
    return stream.getvalue()


def export_objects(
    folder: Path,
    out: Path,
    pair: BundlePair | None,
    *,
    kinds: Collection[Kind] = KINDS,
    mask: Path | None = None,
    segmenter: BundleInfo | None = None,
    annotations: AnnotationStore | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> list[Path]:
    """Read and predict one study and write its findings as DICOM files.

    Args:
        folder: The DICOM files of one study.
        out: Folder for the objects.
        pair: The networks; None for a segmentation alone.
        kinds: What is wanted.
        mask: Mask of the vertebrae; None for that of the data root around the study, if it has one.
        segmenter: Draws the vertebrae of a study without a mask.
        annotations: Boxes that people judged, in place of the predicted ones where there are any.
        device: As `pick_device` takes it.
        progress: Called with slices predicted and slices in all.

    Returns:
        The files.

    Raises:
        ConfigError: A segmentation alone is wanted, but there is neither mask nor segmenter.
        AnnotationError: The study's annotation cannot be opened.
        DicomSeriesError, DataRootError: Series or mask cannot be read or referred to.
        BundleError, DeviceError, StorageError: As their parts raise them.
    """
    record, synthetic = record_of(folder)
    mask = mask or (None if record is None else record.mask_file)
    if mask is None and segmenter is None and set(kinds) == {"seg"}:
        raise ConfigError(
            f"{folder} has no mask of its vertebrae, and there is no segmentation bundle; name a "
            "mask with --mask, or make a bundle by `python -m core demo-segmenter`."
        )
    volume = read_series(folder)
    source = read_source(folder, volume, synthetic=synthetic)
    vertebrae = _vertebrae(volume, mask, segmenter, device) if "seg" in kinds else None
    findings = None
    if pair is not None and set(kinds) - {"seg"}:
        truth = None if record is None else record.fractured
        findings = _findings(volume, pair, truth, synthetic, device, progress)
        findings = _judged(findings, volume, annotations)
    objects = made_objects(source, findings, vertebrae, kinds=kinds)
    for name, made in objects.items():
        write_bytes(out / name, file_bytes(made))
    return [out / name for name in objects]


def _vertebrae(
    volume: CTVolume, mask: Path | None, segmenter: BundleInfo | None, device: str
) -> Vertebrae | None:
    """The mask's vertebrae, else C1 to C7 as a network draws them."""
    if mask is not None:
        return Vertebrae(load_vertebra_mask(mask, volume))
    if segmenter is None:
        return None
    from core.inference.segmentation import SegmentationPredictor

    labels = SegmentationPredictor(segmenter, device=device).segment(volume).volume_labels()
    # The network's last class is any vertebra below C7, for which there is no code.
    labels[labels > N_VERTEBRAE] = 0
    return Vertebrae(labels, segmenter.config.name)


def _judged(findings: Findings, volume: CTVolume, annotations: AnnotationStore | None) -> Findings:
    """Put judged boxes in the place of predicted ones, where somebody judged any."""
    current = None if annotations is None else annotations.current(volume.study_uid)
    if current is None or not current.boxes:
        return findings
    return replace(findings, found=annotated_boxes(current, volume))


def _findings(
    volume: CTVolume,
    pair: BundlePair,
    truth: tuple[bool, ...] | None,
    synthetic: bool,
    device: str,
    progress: Progress | None,
) -> Findings:
    from core.inference.boxes.study_scores import load_predictor

    found = load_predictor(pair, device=device).predict_with_boxes(volume, progress=progress)
    report = build_report(
        volume, found.predictions, pair, raw=found.raw, truth=truth, synthetic=synthetic
    )
    return gather_findings(report, found.predictions, pair, found.raw)
