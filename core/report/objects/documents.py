"""The report as an encapsulated PDF, and key slices as secondary captures."""

from __future__ import annotations

from typing import Any, Final

import cv2
import highdicom as hd
import numpy as np
from highdicom.base import SOPClass
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from core.report.objects.findings import Findings
from core.report.objects.marks import comment, description, mark, series_of
from core.report.objects.quiet import quiet
from core.report.objects.source import SourceSeries
from core.report.pictures import box_picture
from core.system.uids import new_uid

PDF_SERIES: Final = 903
KEY_SLICE_SERIES: Final = 904
_OF_SUBJECT: Final = {
    "patient_id": "PatientID", "patient_name": "PatientName",
    "patient_birth_date": "PatientBirthDate", "patient_sex": "PatientSex",
    "accession_number": "AccessionNumber", "study_id": "StudyID", "study_date": "StudyDate",
    "study_time": "StudyTime", "referring_physician_name": "ReferringPhysicianName",
    "study_instance_uid": "StudyInstanceUID", "specific_character_set": "SpecificCharacterSet",
}  # fmt: skip


def encapsulated_pdf(source: SourceSeries, pdf: bytes) -> SOPClass:
    """Wrap the report as PDF; it names the study and no patient."""
    what = "report"
    subject: dict[str, Any] = {
        name: source.first.get(keyword) or None for name, keyword in _OF_SUBJECT.items()
    }
    with quiet():
        made = SOPClass(
            sop_class_uid=EncapsulatedPDFStorage,
            modality="DOC",
            transfer_syntax_uid=ExplicitVRLittleEndian,
            **(subject | series_of(source, PDF_SERIES, what)),
        )
        made.ConversionType = "WSD"
        made.AcquisitionDateTime = ""
        made.BurnedInAnnotation = "NO"
        made.DocumentTitle = description(source, "cervical spine CT report")
        made.ConceptNameCodeSequence = []
        made.MIMETypeOfEncapsulatedDocument = "application/pdf"
        made.EncapsulatedDocumentLength = len(pdf)
        made.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
        mark(made, source)
    return made


def key_slices(source: SourceSeries, findings: Findings) -> tuple[hd.sc.SCImage, ...]:
    """Draw the slices worth showing, with the boxes on them, in one series."""
    shared = series_of(source, KEY_SLICE_SERIES, "key slices")
    return tuple(
        _capture(
            source,
            findings,
            index,
            shared | {"instance_number": number, "sop_instance_uid": new_uid()},
        )
        for number, index in enumerate(findings.key_slices, start=1)
    )


def _capture(
    source: SourceSeries, findings: Findings, index: int, series: dict[str, Any]
) -> hd.sc.SCImage:
    volume, boxes = source.volume, findings.found.boxes
    here = boxes.index == index
    picture = box_picture(volume, index, boxes.xyxy[here], "")
    pixels = cv2.imdecode(np.frombuffer(picture.png, np.uint8), cv2.IMREAD_COLOR)
    rgb = np.ascontiguousarray(np.asarray(pixels)[..., ::-1])
    rows, columns = volume.hu.shape[1:]
    spacing = (
        volume.spacing_mm[1] * rows / rgb.shape[0], volume.spacing_mm[2] * columns / rgb.shape[1]
    )  # fmt: skip
    with quiet():
        made = hd.sc.SCImage.from_ref_dataset(
            source.first,
            pixel_array=rgb,
            photometric_interpretation=hd.PhotometricInterpretationValues.RGB,
            bits_allocated=8,
            coordinate_system=hd.CoordinateSystemNames.PATIENT,
            patient_orientation=("L", "P"),
            pixel_spacing=spacing,
            transfer_syntax_uid=ExplicitVRLittleEndian,
            **series,
        )
        # An unpaired part, so that no side need be named.
        made.BodyPartExamined = "CSPINE"
        made.BurnedInAnnotation = "NO"
        made.ImageComments = comment(source)
        made.DerivationDescription = (
            f"Slice {index} in the bone window, predicted boxes drawn: {int(here.sum())}"
            if not findings.found.author
            else f"Slice {index} in the bone window, judged boxes drawn: {int(here.sum())}"
        )
        plane = source.plane_of_slice(index)
        if plane is not None:
            made.SourceImageSequence = [_reference(source, plane)]
        mark(made, source)
    return made


def _reference(source: SourceSeries, plane: int) -> Dataset:
    image, item = source.images[plane], Dataset()
    item.ReferencedSOPClassUID = image.SOPClassUID
    item.ReferencedSOPInstanceUID = image.SOPInstanceUID
    if source.frames[plane]:
        item.ReferencedFrameNumber = source.frames[plane]
    return item
