"""Vertebrae as DICOM segmentations: geometry, codes, and the way back."""

from __future__ import annotations

import highdicom as hd
import numpy as np
import pydicom
import pytest

from core.dataset.masks import load_vertebra_mask
from core.dicom.series import read_series
from core.errors import DataRootError
from core.inference.segmentation import SegmentationPredictor
from core.models.pairs import choose_segmenter
from core.prepared.sandboxed_masks import read_mask_confined
from core.prepared.sandboxed_reader import confined_reader
from core.report.objects.export import export_objects, file_bytes
from core.report.objects.segmentation import segmentation
from core.report.objects.source import read_source
from core.system.process_limits import Limits
from tests.core.dicom.enhanced_factory import write_enhanced_ct
from tests.core.report.objects.conftest import GEOMETRIES, Made, made_labels

SNOMED = {
    "C1": "14806007", "C2": "39976000", "C3": "113205007", "C4": "5329002", "C5": "36978003",
    "C6": "36054005", "C7": "87391001", "T1": "64864005",
}  # fmt: skip
"""Codes of the vertebrae in DICOM PS3.16."""


def written(made, labels, folder, **options):
    path = folder / "seg.dcm"
    source = read_source(made.folder, made.volume)
    path.write_bytes(file_bytes(segmentation(source, labels, **options)))
    return path


@pytest.mark.parametrize("name", GEOMETRIES)
def test_the_mask_comes_back_equal(write_series, tmp_path, name):
    made = write_series(name)
    labels = made_labels(made.volume)
    path = written(made, labels, tmp_path)
    back = load_vertebra_mask(path, made.volume, on_bone=False)
    assert np.array_equal(back, labels)
    assert (made.volume.shift_px is not None) == (name == "tilted")


@pytest.mark.parametrize("name", ["plain", "anisotropic", "oblique", "turned", "uneven"])
def test_highdicom_finds_each_vertebra_on_its_image(write_series, tmp_path, name):
    made = write_series(name)
    labels = made_labels(made.volume)
    seg = hd.seg.segread(written(made, labels, tmp_path))
    source = read_source(made.folder, made.volume)
    planes = source.planes_of(labels)
    uids = [str(image.SOPInstanceUID) for image in source.images]
    for number in seg.segment_numbers:
        described = seg.get_segment_description(number)
        label = {"C1": 1, "C2": 2, "C3": 3, "T1": 8}[described.segment_label]
        assert described.segmented_property_type.value == SNOMED[described.segment_label]
        pixels = seg.get_pixels_by_source_instance(
            uids, segment_numbers=[number], assert_missing_frames_are_empty=True
        )[..., 0]
        assert np.array_equal(pixels.astype(bool), planes == label)
    assert seg.FrameOfReferenceUID == source.first.FrameOfReferenceUID


def test_a_file_of_frames_is_referred_to_by_frame(write_series, tmp_path):
    made = write_series()
    folder = tmp_path / "enhanced"
    write_enhanced_ct(sorted(made.folder.iterdir()), folder / "all.dcm")
    framed = Made(folder, read_series(folder))
    labels = made_labels(framed.volume)
    path = written(framed, labels, tmp_path)
    assert np.array_equal(load_vertebra_mask(path, framed.volume, on_bone=False), labels)
    seg = hd.seg.segread(path)
    source = read_source(framed.folder, framed.volume)
    pixels = seg.get_pixels_by_source_frame(
        str(source.first.SOPInstanceUID), list(source.frames), segment_numbers=[1],
        assert_missing_frames_are_empty=True,
    )[..., 0]  # fmt: skip
    assert np.array_equal(pixels.astype(bool), labels == 1)


def test_the_object_says_what_it_is(write_series, tmp_path):
    made = write_series()
    source = read_source(made.folder, made.volume, synthetic=True)
    found = segmentation(source, made_labels(made.volume), algorithm="segmenter_made")
    assert found.ContentLabel == "RESEARCH"
    assert found.ContentQualification == "RESEARCH"
    assert found.SyntheticData == "YES"
    assert "Synthetic, research only" in found.SeriesDescription
    assert "not for clinical use" in found.ImageComments
    assert found.SegmentSequence[0].SegmentAlgorithmType == "AUTOMATIC"
    assert found.SegmentSequence[0].SegmentAlgorithmName == "segmenter_made"
    assert (str(found.PatientName), found.PatientID) == ("Made^Up", "MADE-UP")
    assert found.StudyInstanceUID == made.volume.study_uid
    assert found.SeriesInstanceUID.startswith("2.25.")
    assert found.SOPInstanceUID.startswith("2.25.")
    assert found.SeriesInstanceUID != made.volume.series_uid
    real = segmentation(read_source(made.folder, made.volume), made_labels(made.volume))
    assert "SyntheticData" not in real
    assert "Synthetic" not in real.SeriesDescription
    assert real.SegmentSequence[0].SegmentAlgorithmType == "MANUAL"


def test_a_mask_without_vertebrae_is_refused(write_series):
    made = write_series()
    source = read_source(made.folder, made.volume)
    with pytest.raises(DataRootError, match="labels no vertebra"):
        segmentation(source, np.zeros(made.volume.hu.shape, np.uint8))


def test_another_segmentation_is_refused_in_one_sentence(write_series, tmp_path):
    made = write_series()
    path = written(made, made_labels(made.volume), tmp_path)
    found = pydicom.dcmread(path)
    for segment in found.SegmentSequence:
        segment.SegmentLabel = "Liver"
        segment.SegmentedPropertyTypeCodeSequence[0].CodeValue = "10200004"
    found.save_as(path)
    with pytest.raises(DataRootError, match="no segment is a vertebra"):
        load_vertebra_mask(path, made.volume)
    with pytest.raises(DataRootError, match="no binary DICOM segmentation"):
        load_vertebra_mask(made.volume.source_files[0], made.volume)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataRootError):
        load_vertebra_mask(path, made.volume)


def test_a_segment_is_known_by_its_label_where_its_code_is_another(write_series, tmp_path):
    made = write_series()
    labels = made_labels(made.volume)
    path = written(made, labels, tmp_path)
    found = pydicom.dcmread(path)
    for segment in found.SegmentSequence:
        segment.SegmentLabel = f"vertebrae_{segment.SegmentLabel}"
        segment.SegmentedPropertyTypeCodeSequence[0].CodeValue = "51282000"
    found.save_as(path)
    assert np.array_equal(load_vertebra_mask(path, made.volume, on_bone=False), labels)


def test_objects_beside_the_series_do_not_disturb_it(write_series):
    made = write_series()
    written(made, made_labels(made.volume), made.folder)
    again = read_series(made.folder)
    assert np.array_equal(again.hu, made.volume.hu)
    assert np.array_equal(again.affine, made.volume.affine)


def test_the_confined_reader_takes_it_like_any_mask(write_series, tmp_path):
    made = write_series("oblique")
    labels = made_labels(made.volume)
    path = written(made, labels, tmp_path)
    reader = confined_reader(Limits(512 << 20, 60))
    try:
        found = read_mask_confined(path, made.volume, reader, on_bone=False)
        path.write_bytes(path.read_bytes()[:3000])
        with pytest.raises(DataRootError, match=r"seg\.dcm cannot be read"):
            read_mask_confined(path, made.volume, reader)
    finally:
        reader.close()
    assert np.array_equal(found, labels)


def test_a_network_draws_c1_to_c7_of_a_study_without_a_mask(
    write_series, tmp_path, untrained_segmenter
):
    made = write_series("anisotropic")
    bundle = choose_segmenter(untrained_segmenter)
    (path,) = export_objects(
        made.folder, tmp_path / "out", None, kinds=["seg"], segmenter=bundle, device="cpu"
    )
    seg = hd.seg.segread(path)
    described = seg.get_segment_description(1)
    assert described.algorithm_type == hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC
    assert described.algorithm_identification.name == bundle.config.name
    labels = SegmentationPredictor(bundle, device="cpu").segment(made.volume).volume_labels()
    back = load_vertebra_mask(path, made.volume, on_bone=False)
    assert np.array_equal(back, np.where(labels > 7, 0, labels))
