"""Boxes and scores as a structured report, read back by highdicom."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import highdicom as hd
import numpy as np
import pytest
from pydicom.sr.codedict import codes

from core.annotations.records import AnnotatedBox, StudyAnnotation
from core.dicom.box_mapping import BoxMapping
from core.report.objects.export import file_bytes
from core.report.objects.findings import annotated_boxes
from core.report.objects.measurements import measurement_report
from core.report.objects.source import read_source
from tests.core.report.objects.conftest import GEOMETRIES, made_findings

FRACTURE = hd.sr.CodedConcept("72704001", "SCT", "Fracture")


def read_back(made, tmp_path, **options):
    findings = made_findings(made.volume, **options)
    path = tmp_path / "sr.dcm"
    source = read_source(made.folder, made.volume, synthetic=True)
    path.write_bytes(file_bytes(measurement_report(source, findings)))
    return hd.sr.srread(path), source, findings


@pytest.mark.parametrize("name", [*GEOMETRIES])
def test_boxes_come_back_equal_on_their_images(write_series, tmp_path, name):
    made = write_series(name)
    report, source, findings = read_back(made, tmp_path)
    groups = report.content.get_planar_roi_measurement_groups()
    found = []
    for group in groups:
        region = group.roi
        image = region.ContentSequence[0].ReferencedSOPSequence[0]
        points = region.value
        assert np.array_equal(points[0], points[-1])
        uid = image.ReferencedSOPInstanceUID
        score = group.get_measurements()[0].value
        xyxy = (*points.min(axis=0), *points.max(axis=0))
        found.append((str(uid), tuple(np.round(xyxy, 3)), round(float(score), 6)))
    mapping = BoxMapping.of(made.volume)
    expected = []
    for level in ("C2", ""):
        placed = mapping.to_files(findings.found.of(level))
        expected += [
            (str(source.images[k].SOPInstanceUID), tuple(np.round(xyxy, 3)), round(score, 6))
            for k, xyxy, score in zip(
                placed.index.tolist(), placed.xyxy, placed.scores.tolist(), strict=True
            )
        ]
    assert found == expected
    if made.volume.axes.keeps_slices:
        assert len(found) == 3


def test_vertebrae_have_their_probability_and_call(write_series, tmp_path):
    made = write_series()
    report, _, findings = read_back(made, tmp_path)
    groups = report.content.get_image_measurement_groups()
    seen = [row for row in findings.report.vertebrae if row.slices is not None]
    assert [group.tracking_identifier for group in groups] == [row.name for row in seen]
    for group, row in zip(groups, seen, strict=True):
        assert group.get_measurements()[0].value == pytest.approx(row.prob, abs=1e-6)
        call = group.get_qualitative_evaluations()[0].value
        expected = {True: codes.cid240.Present, False: codes.cid240.Absent}[row.called]
        assert (call.scheme_designator, call.value) == ("SCT", expected.value)
        assert group.finding_sites[0].value.meaning == f"{row.name} vertebra"


def test_judged_boxes_have_their_author_and_no_score(write_series, tmp_path):
    made = write_series("turned")
    number = made.volume.instance_numbers[4]
    box = {"slice_number": number, "xyxy": (2.0, 3.0, 9.5, 11.25)}
    annotation = StudyAnnotation(
        study_id=made.volume.study_uid, revision=1, base=0, author="AB", at=datetime.now(UTC),
        boxes=(
            AnnotatedBox(**box, status="accepted", vertebra="C2"),
            AnnotatedBox(**box | {"slice_number": number + 1}, status="rejected"),
        ),
    )  # fmt: skip
    source = read_source(made.folder, made.volume)
    found = annotated_boxes(annotation, made.volume)
    assert len(found.boxes) == 1
    findings = replace(made_findings(made.volume), found=found)
    path = tmp_path / "sr.dcm"
    path.write_bytes(file_bytes(measurement_report(source, findings)))
    (group,) = hd.sr.srread(path).content.get_planar_roi_measurement_groups()
    assert group.tracking_identifier == "Box 1, judged by AB"
    assert group.get_measurements() == []
    assert group.finding_sites[0].value.meaning == "C2 vertebra"
    points = group.roi.value
    assert (*points.min(axis=0), *points.max(axis=0)) == pytest.approx(box["xyxy"])
    image = source.images[made.volume.instance_numbers.index(number)]
    uid = group.roi.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert uid == image.SOPInstanceUID


def test_a_report_without_boxes_refers_to_the_series(write_series, tmp_path):
    made = write_series()
    report, source, _ = read_back(made, tmp_path, boxes=False)
    assert report.content.get_planar_roi_measurement_groups() == []
    assert report.StudyInstanceUID == made.volume.study_uid
    assert report.CompletionFlag == "PARTIAL"
    assert report.VerificationFlag == "UNVERIFIED"
    assert "not for clinical use" in report.CompletionFlagDescription
    assert report.SyntheticData == "YES"
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert evidence.SeriesInstanceUID == made.volume.series_uid
    assert evidence.ReferencedSOPSequence[0].ReferencedSOPInstanceUID in {
        image.SOPInstanceUID for image in source.images
    }
