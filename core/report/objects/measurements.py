"""Boxes and scores as a structured report by template 1500."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from core.constants import VERTEBRAE
from core.dataset.vertebra_codes import LEVEL_CODES
from core.report.objects.findings import Findings
from core.report.objects.marks import DEVICE_UID, NOTICE, PRODUCT, mark, series_of
from core.report.objects.quiet import quiet
from core.report.objects.source import SourceSeries
from core.report.study import ReportVertebra
from core.system.uids import new_uid

SERIES_NUMBER: Final = 902
FRACTURE: Final = Code("72704001", "SCT", "Fracture")
BOX_SCORE: Final = Code("C25338", "NCIt", "Score")
"""A box's score ranks it; only the probability of a vertebra is calibrated."""
CALLED: Final = {
    True: codes.cid240.Present,
    False: codes.cid240.Absent,
    None: codes.cid240.Undetermined,
}
"""The call on a vertebra, by context group 240 of DICOM PS3.16; none is made on a scan unlike those
the networks were made for."""


def measurement_report(source: SourceSeries, findings: Findings) -> hd.sr.ComprehensiveSR:
    """Write boxes as regions of their images, and the probability of each vertebra.

    Edges are sub-pixel (column, row), where 0 is the outer edge of the first pixel (DICOM PS3.3,
    C.18.6), as those of the program's boxes.
    """
    with quiet():
        algorithm = _algorithm(findings)
        groups = [*_boxes(source, findings, algorithm), *_vertebrae(findings, algorithm)]
        content = hd.sr.MeasurementReport(
            observation_context=hd.sr.ObservationContext(
                observer_device_context=hd.sr.ObserverContext(
                    observer_type=codes.DCM.Device,
                    observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
                        uid=DEVICE_UID, name=PRODUCT, manufacturer_name=PRODUCT
                    ),
                )
            ),
            procedure_reported=codes.cid100.CTUnspecifiedBodyRegion,
            imaging_measurements=groups,
            title=codes.DCM.ImagingMeasurementReport,
        )
        made = hd.sr.ComprehensiveSR(
            evidence=_evidence(source, findings),
            content=content[0],
            is_complete=False,
            is_final=False,
            is_verified=False,
            **series_of(source, SERIES_NUMBER, "fracture boxes and scores"),
        )
        made.CompletionFlagDescription = NOTICE
        mark(made, source)
    return made


def _algorithm(findings: Findings) -> hd.sr.AlgorithmIdentification:
    names = ", ".join(bundle.config.name for bundle in findings.report.bundles)
    weights = ", ".join(bundle.config.weights_sha256[:12] for bundle in findings.report.bundles)
    return hd.sr.AlgorithmIdentification(name=names, version=weights)


def _evidence(source: SourceSeries, findings: Findings) -> list[Dataset]:
    """Give the images that boxes lie on; the first image where there are none."""
    planes = sorted(set(source.boxes_of(findings.found.boxes).index.tolist()) or {0})
    return [source.first] if source.frames[0] else [source.images[plane] for plane in planes]


def _boxes(
    source: SourceSeries, findings: Findings, algorithm: hd.sr.AlgorithmIdentification
) -> Iterator[hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations]:
    number, author = 0, findings.found.author
    by = f", judged by {author}" if author else ""
    for level in (*VERTEBRAE, ""):
        placed = source.boxes_of(findings.found.of(level))
        for plane, xyxy, score in zip(
            placed.index.tolist(), placed.xyxy, placed.scores.tolist(), strict=True
        ):
            number += 1
            yield hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
                tracking_identifier=hd.sr.TrackingIdentifier(
                    uid=new_uid(), identifier=f"Box {number}{by}"
                ),
                referenced_region=_region(source, plane, xyxy),
                finding_type=FRACTURE,
                finding_sites=_sites(level),
                algorithm_id=None if author else algorithm,
                measurements=None if author else _score(score),
            )  # fmt: skip


def _score(value: float) -> list[hd.sr.Measurement]:
    return [hd.sr.Measurement(BOX_SCORE, round(value, 6), codes.UCUM.NoUnits)]


def _region(source: SourceSeries, plane: int, xyxy: np.ndarray) -> hd.sr.ImageRegion:
    left, top, right, bottom = xyxy.tolist()
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    image, frame = source.images[plane], source.frames[plane]
    return hd.sr.ImageRegion(
        graphic_type=hd.sr.GraphicTypeValues.POLYLINE,
        graphic_data=np.array(corners, np.float64),
        source_image=hd.sr.SourceImageForRegion(
            image.SOPClassUID, image.SOPInstanceUID, [frame] if frame else None
        ),
    )


def _sites(level: str) -> list[hd.sr.FindingSite]:
    code = LEVEL_CODES[level] if level else codes.SCT.StructureOfCervicalVertebralColumn
    return [hd.sr.FindingSite(anatomic_location=code)]


def _vertebrae(
    findings: Findings, algorithm: hd.sr.AlgorithmIdentification
) -> Iterator[hd.sr.MeasurementsAndQualitativeEvaluations]:
    for row in findings.report.vertebrae:
        if row.slices is not None:
            yield _vertebra(row, algorithm)


def _vertebra(
    row: ReportVertebra, algorithm: hd.sr.AlgorithmIdentification
) -> hd.sr.MeasurementsAndQualitativeEvaluations:
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=new_uid(), identifier=row.name),
        finding_type=FRACTURE,
        finding_sites=_sites(row.name),
        algorithm_id=algorithm,
        measurements=[
            hd.sr.Measurement(codes.DCM.Probability, round(row.prob, 6), codes.UCUM.NoUnits)
        ],
        qualitative_evaluations=[hd.sr.QualitativeEvaluation(FRACTURE, CALLED[row.called])],
    )
