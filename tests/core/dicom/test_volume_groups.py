"""What one volume is: slices of two scans, reconstructions or grids are never put together."""

from __future__ import annotations

import numpy as np
import pytest

from core.dicom.series import read_series
from core.errors import DicomSeriesError
from tests.core.dicom.edited_slices import STEP_MM, hu_of, neighbours, save, twin


@pytest.fixture
def slices(tmp_path):
    return neighbours(tmp_path / "source")


def setting(**values):
    def edit(ds):
        for keyword, value in values.items():
            if value is None:
                delattr(ds, keyword)
            else:
                setattr(ds, keyword, value)

    return edit


def read_both(tmp_path, large, small):
    """Read a folder of both, the files of each between those of the other."""
    folder = save(large, tmp_path / "both", start=1, name="{}a.dcm")
    save(small, folder, start=1, name="{}b.dcm")
    return read_series(folder)


def assert_is(volume, slices):
    np.testing.assert_array_equal(volume.hu, hu_of(slices))
    assert volume.spacing_mm[0] == pytest.approx(STEP_MM)


WITHIN_A_SERIES = {
    "AcquisitionNumber": setting(AcquisitionNumber=2),
    "temporal position": setting(TemporalPositionIdentifier=2),
    "trigger time": setting(TriggerTime=400),
    "echo": setting(EchoNumbers=2),
    "b-value": setting(DiffusionBValue=800.0),
    "ContrastBolusAgent": setting(ContrastBolusAgent="Some agent"),
    "ImageType": setting(ImageType=["DERIVED", "PRIMARY", "AXIAL"]),
    "SliceThickness": setting(SliceThickness=5),
    "ConvolutionKernel": setting(ConvolutionKernel="B70s"),
    "KVP": setting(KVP=80),
    "GantryDetectorTilt": setting(GantryDetectorTilt=12),
    "RescaleType": setting(RescaleType="Z_EFF"),
    "FrameOfReferenceUID": setting(FrameOfReferenceUID="1.2.3.10"),
    "PixelSpacing": setting(PixelSpacing=[0.7, 0.7]),
    "SeriesNumber": setting(SeriesNumber=5),
    "ImageOrientationPatient": setting(ImageOrientationPatient=[-1, 0, 0, 0, -1, 0]),
}


@pytest.mark.parametrize("name", WITHIN_A_SERIES)
def test_slices_of_the_same_series_that_differ_are_not_mixed(tmp_path, slices, name):
    values = {"TemporalPositionIdentifier": 1, "TriggerTime": 10, "EchoNumbers": 1}
    for ds in slices:
        setting(**values, DiffusionBValue=0.0, ContrastBolusAgent="none")(ds)
    volume = read_both(tmp_path, slices, twin(slices[:7], WITHIN_A_SERIES[name]))
    assert_is(volume, slices)
    (note,) = volume.notes
    assert note.startswith("Of 2 CT volumes the largest is read (8 slices); left out: 7 slices of ")
    assert "the same series with another" in note
    if name[0].isupper():
        assert name in note


def test_a_copy_with_another_acquisition_of_the_same_size_is_told(tmp_path, slices):
    volume = read_both(tmp_path, slices, twin(slices, setting(AcquisitionNumber=2)))
    assert_is(volume, slices)
    (note,) = volume.notes
    assert "8 slices of the same series with another AcquisitionNumber" in note
    assert note.endswith("2 of them have as many slices, and the first by its UID was taken.")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (setting(SeriesInstanceUID="1.2.3.5"), "of another series"),
        (setting(StudyInstanceUID="1.2.4", SeriesInstanceUID="1.2.4.1"), "of another study"),
        (setting(PatientID="OTHER"), "of another patient"),
        (setting(PatientName="Other"), "of another patient"),
        (setting(PatientBirthDate="19800101"), "of another patient"),
    ],
)
def test_series_and_patients_are_named_even_with_shared_uids(tmp_path, slices, edit, words):
    volume = read_both(tmp_path, slices, twin(slices[:7], edit, new_objects=False))
    assert_is(volume, slices)
    assert words in volume.notes[0]
    assert "OTHER" not in volume.notes[0].upper().replace("ANOTHER", "")


@pytest.mark.parametrize(
    "edit", [setting(PatientID="OTHER"), setting(SeriesNumber=5), setting(SeriesTime="101010")]
)
def test_deleted_uids_do_not_join_two_scans(tmp_path, slices, edit):
    both = [*slices, *twin(slices[:7], edit)]
    for ds in both:
        setting(StudyInstanceUID=None, SeriesInstanceUID=None, FrameOfReferenceUID=None)(ds)
    assert_is(read_both(tmp_path, both[:8], both[8:]), slices)


def test_two_scans_that_nothing_tells_apart_are_refused(tmp_path, slices):
    both = [*slices, *twin(slices, lambda _: None)]
    for ds in both:
        setting(StudyInstanceUID=None, SeriesInstanceUID=None, PatientID=None)(ds)
    with pytest.raises(DicomSeriesError, match="8 instance numbers several times"):
        read_both(tmp_path, both[:8], both[8:])


def test_deleted_uids_alone_are_read(tmp_path, slices):
    for ds in slices:
        setting(
            StudyInstanceUID=None, SeriesInstanceUID=None, FrameOfReferenceUID=None, PatientID=None
        )(ds)
        ds.SOPInstanceUID = ""
    volume = read_series(save(slices, tmp_path / "one"))
    assert_is(volume, slices)
    assert volume.notes == ()


def test_blocks_of_a_sequential_scan_are_one_volume(tmp_path, slices):
    for k, ds in enumerate(slices):
        ds.AcquisitionNumber, ds.InstanceNumber = 1 + k // 2, 1 + k % 2
    volume = read_series(save(slices, tmp_path / "blocks"))
    assert_is(volume, slices)
    assert volume.notes == ()


def test_a_repeated_block_is_left_out(tmp_path, slices):
    for k, ds in enumerate(slices):
        ds.AcquisitionNumber = 1 + k
    again = twin(slices[3:4], setting(AcquisitionNumber=9), shift_mm=0)
    volume = read_both(tmp_path, slices, again)
    assert_is(volume, slices)
    assert "1 slice of the same series with another AcquisitionNumber" in volume.notes[0]


def test_headers_that_do_not_state_a_fact_join_those_that_do(tmp_path, slices):
    for keyword in ("FrameOfReferenceUID", "ConvolutionKernel", "KVP", "AcquisitionNumber"):
        delattr(slices[2], keyword)
    slices[3].KVP, slices[4].GantryDetectorTilt = "120.0", "-0"
    assert_is(read_series(save(slices, tmp_path / "gaps")), slices)


def test_a_slice_that_is_missed_in_its_place_is_the_odd_one_by_majority(tmp_path, slices):
    # The first file is the odd one, and no other file is blamed.
    slices[3].PixelSpacing, slices[3].InstanceNumber = [0.9, 0.9], 1
    folder = save([slices[3], *slices[:3], *slices[4:]], tmp_path / "odd")
    with pytest.raises(DicomSeriesError, match=r"^odd/1\.dcm: its PixelSpacing differs from the"):
        read_series(folder)


def test_a_picture_of_a_report_in_the_series_does_not_keep_it_from_being_read(tmp_path, slices):
    (picture,) = twin(slices[:1], setting(InstanceNumber=99))
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(picture, keyword)
    picture.SamplesPerPixel, picture.PhotometricInterpretation = 3, "RGB"
    volume = read_both(tmp_path, slices, [picture])
    assert_is(volume, slices)
    assert "its pixels are RGB" in volume.notes[0]


def test_a_larger_series_that_cannot_be_read_gives_way(tmp_path, slices):
    others = twin(slices, setting(SeriesInstanceUID="1.2.3.5"))
    for ds in others:
        del ds.PixelSpacing
    assert_is(read_both(tmp_path, slices[:7], others), slices[:7])


def test_a_copied_series_counts_once(tmp_path, slices):
    thin = twin(slices[:6], setting(SeriesInstanceUID="1.2.3.5"))
    folder = save(slices[:5], tmp_path / "both", name="{}a.dcm")
    save(slices[:5], folder / "copy")
    save(thin, folder / "thin")
    assert_is(read_series(folder), thin)


class TestMaps:
    """Maps of a material are no HU."""

    MAPS = (
        *({"RescaleType": unit} for unit in ("Z_EFF", "MGML", "ED", "US", "%", "HU_MOD")),
        *(
            {"ImageType": ["DERIVED", "PRIMARY", "AXIAL", kind]}
            for kind in ("MAT_SPECIFIC", "EFF_ATOMIC_NUM", "ELECTRON_DENSITY", "MAT_REMOVED")
        ),
    )

    @pytest.mark.parametrize("edit", MAPS)
    @pytest.mark.parametrize("series", ["1.2.3.4", "1.2.3.5"])
    def test_a_map_is_not_taken_where_a_ct_is_there(self, tmp_path, slices, edit, series):
        maps = twin(slices, setting(**edit, SeriesInstanceUID=series))
        volume = read_both(tmp_path, slices[:5], maps)
        assert_is(volume, slices[:5])
        assert "not in HU" in volume.notes[0]

    @pytest.mark.parametrize("edit", MAPS)
    def test_a_map_alone_is_refused_with_the_reason(self, tmp_path, slices, edit):
        maps = twin(slices, setting(**edit))
        with pytest.raises(DicomSeriesError, match=r"a map in .*, not HU"):
            read_series(save(maps, tmp_path / "maps"))

    @pytest.mark.parametrize(
        "edit",
        [{"RescaleType": "HU"}, {"RescaleType": ""}, {"RescaleType": None},
         {"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "VMI"]}],
    )  # fmt: skip
    def test_hu_stated_or_not_is_a_ct(self, tmp_path, slices, edit):
        for ds in slices:
            setting(**edit)(ds)
        assert_is(read_series(save(slices, tmp_path / "ct")), slices)


class TestOneSeriesPerSlice:
    """Exports that give every slice UIDs of its own."""

    @pytest.mark.parametrize(
        "keywords",
        [("SeriesInstanceUID",), ("SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")],
    )
    def test_slices_that_agree_in_all_else_are_one_volume(self, tmp_path, slices, keywords):
        for k, ds in enumerate(slices):
            for keyword in keywords:
                setattr(ds, keyword, f"1.2.9.{k}")
        volume = read_series(save(slices[::-1], tmp_path / "s"))
        assert_is(volume, slices)
        assert volume.notes[-1].startswith("Every slice states a series of its own")

    def test_uneven_ones_are_refused(self, tmp_path, slices):
        for k, ds in enumerate(slices):
            ds.SeriesInstanceUID = f"1.2.9.{k}"
        del slices[4]
        with pytest.raises(DicomSeriesError, match="each of its 7 slices states a series"):
            read_series(save(slices, tmp_path / "s"))
