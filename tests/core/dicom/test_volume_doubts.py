"""Sound series beside damaged files, and positions that cannot be right."""

from __future__ import annotations

import os

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from core.dicom import elements
from core.dicom.series import read_series
from core.errors import DicomSeriesError
from tests.core.dicom.edited_slices import hu_of, neighbours, save


@pytest.fixture
def slices(tmp_path):
    return neighbours(tmp_path / "source")


def deep(slices, modality, sop_class, items):
    """A file of another kind with many nested items of undefined length."""
    ds = Dataset()
    ds.file_meta = slices[0].file_meta
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = sop_class
    ds.SOPInstanceUID, ds.Modality = "1.2.99", modality
    ds.StudyInstanceUID, ds.SeriesInstanceUID = slices[0].StudyInstanceUID, "1.2.88"
    contours = []
    for k in range(items):
        contour = Dataset()
        contour.ContourData = [k, 0, 0]
        contour.is_undefined_length_sequence_item = True
        contours.append(contour)
    roi = Dataset()
    roi.ContourSequence = Sequence(contours)
    roi["ContourSequence"].is_undefined_length = True
    ds.ROIContourSequence = Sequence([roi])
    ds["ROIContourSequence"].is_undefined_length = True
    return ds


@pytest.mark.slow
@pytest.mark.parametrize(
    ("modality", "sop_class"), [("RTSTRUCT", RTStructureSetStorage), ("SEG", SegmentationStorage)]
)
@pytest.mark.parametrize("stated", [True, False])
def test_objects_of_other_kinds_are_not_walked(
    tmp_path, slices, monkeypatch, modality, sop_class, stated
):
    monkeypatch.setattr(elements, "_MAX_READS", 200)
    folder = save(slices, tmp_path / "s")
    other = deep(slices, modality, sop_class, 4000)
    if not stated:
        del other.Modality
    other.save_as(folder / "other.dcm", enforce_file_format=True)
    volume = read_series(folder)
    np.testing.assert_array_equal(volume.hu, hu_of(slices))
    assert volume.notes == ("1 file is not CT and was left out.",)


def test_a_file_with_a_broken_header_is_left_out_where_nothing_is_missing(tmp_path, slices):
    folder = save(slices, tmp_path / "s")
    whole = (folder / "3.dcm").read_bytes()
    (folder / "sub").mkdir()
    (folder / "sub" / "broken.dcm").write_bytes(whole[:140] + b"\xff" * 60)
    volume = read_series(folder)
    np.testing.assert_array_equal(volume.hu, hu_of(slices))
    assert volume.notes == (
        "1 file is damaged and was left out (sub/broken.dcm: its header states no "
        "modality, as one that was cut off).",
    )


@pytest.mark.parametrize("keep", range(140, 1100, 20))
def test_a_slice_that_is_missed_is_refused_with_its_own_fault(tmp_path, slices, keep):
    folder = save(slices, tmp_path / "s")
    path = folder / "4.dcm"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DicomSeriesError, match=r"^s/4\.dcm: ") as caught:
        read_series(folder)
    assert "permissions" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_file_without_permission_is_left_out_with_the_reason(tmp_path, slices):
    folder = save(slices, tmp_path / "s")
    (folder / "closed").write_bytes(b"x")
    (folder / "closed").chmod(0)
    assert "Permission denied" in read_series(folder).notes[0]


def test_a_parser_that_raises_an_os_error_is_no_question_of_permissions(
    tmp_path, slices, monkeypatch
):
    def fail(*_args):
        raise OSError("No tag to read at file position 10")

    folder = save(slices, tmp_path / "s")
    monkeypatch.setattr("core.dicom.headers.read_elements", fail)
    with pytest.raises(DicomSeriesError, match="header is broken; copy the file again"):
        read_series(folder)


class TestPositions:
    """ImagePositionPatient that is the same in all slices."""

    def test_slice_location_gives_the_order_where_numbers_agree(self, tmp_path, slices):
        for ds in slices:
            ds.ImagePositionPatient = [1, 2, 3]
        volume = read_series(save(slices[::-1], tmp_path / "s"))
        np.testing.assert_array_equal(volume.hu, hu_of(slices))
        assert any("one ImagePositionPatient" in note for note in volume.notes)
        assert any("SliceLocation" in note for note in volume.notes)

    @pytest.mark.parametrize("location", [None, "same", "disordered"])
    def test_otherwise_the_series_is_refused(self, tmp_path, slices, location):
        for k, ds in enumerate(slices):
            ds.ImagePositionPatient = [1, 2, 3]
            if location is None:
                del ds.SliceLocation
            else:
                ds.SliceLocation = 5 if location == "same" else [0, 4, 2, 6, 1, 3, 7, 5][k]
        with pytest.raises(DicomSeriesError, match=r"^s: all of its 8 slices state one position"):
            read_series(save(slices, tmp_path / "s"))

    def test_copies_of_one_file_are_one_slice(self, tmp_path, slices):
        volume = read_series(save([slices[0]] * 3, tmp_path / "s"))
        assert volume.n_slices == 1


class TestRescaling:
    """RescaleSlope and RescaleIntercept that some slices lack."""

    @pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
    def test_one_slice_without_names_its_file(self, tmp_path, slices, keyword):
        delattr(slices[4], keyword)
        with pytest.raises(DicomSeriesError, match=r"^s/5\.dcm: it lacks the .* that 7 slices"):
            read_series(save(slices, tmp_path / "s"))

    def test_one_slice_with_names_its_file(self, tmp_path, slices):
        for ds in slices[1:]:
            del ds.RescaleIntercept
        with pytest.raises(DicomSeriesError, match=r"^s/1\.dcm: it has a .* that 7 slices"):
            read_series(save(slices, tmp_path / "s"))

    def test_stored_values_are_taken_as_hu_only_where_they_are(self, tmp_path, slices):
        for ds in slices:
            del ds.RescaleSlope
        volume = read_series(save(slices, tmp_path / "slope"))
        assert "was taken as 1 or 0" in volume.notes[-1]
        assert volume.hu.min() < 0
        for ds in slices:
            del ds.RescaleIntercept
        volume = read_series(save(slices, tmp_path / "both"))
        assert "stored values are taken as HU" in volume.notes[-1]
        assert volume.hu.min() >= 0


def test_messages_name_the_study(tmp_path, slices):
    folder = save(slices, tmp_path / "1.2.840.7" / "a", name="{}.dcm").parent
    (folder / "a" / "5.dcm").write_bytes((folder / "a" / "5.dcm").read_bytes()[:-9])
    with pytest.raises(DicomSeriesError, match=r"^1\.2\.840\.7/a/5\.dcm: its pixel data is trunc"):
        read_series(folder)
