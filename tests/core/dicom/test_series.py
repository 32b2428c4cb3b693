"""Reading a folder as one CT series: order, choice of series, notes and errors."""

from __future__ import annotations

import logging
import random
import tempfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.pixels.processing import apply_modality_lut

from core.dicom import series
from core.dicom.series import read_one_slice, read_series
from core.errors import DicomSeriesError
from tests.core.dicom.dicom_factory import SYNTAXES, made_hu, write_ct_series
from tests.core.dicom.turned_series import ORDERS, write_turned

OBLIQUE = (0.9602, 0.2793, 0.0, -0.2402, 0.8257, 0.5103)


def unit_oblique() -> tuple[float, ...]:
    row = np.array(OBLIQUE[:3]) / np.linalg.norm(OBLIQUE[:3])
    column = np.array(OBLIQUE[3:]) - row * (row @ OBLIQUE[3:])
    return (*row, *(column / np.linalg.norm(column)))


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(("bits", "signed"), [(12, False), (12, True), (16, False), (16, True)])
def test_gives_back_what_was_written_in_every_syntax(tmp_path, syntax, bits, signed):
    hu = np.clip(made_hu(), -1024, 1023 if signed and bits == 12 else 3000)
    write_ct_series(tmp_path, hu, syntax=syntax, bits_stored=bits, signed=signed)
    volume = read_series(tmp_path)
    assert volume.hu.dtype == np.int16
    assert not volume.hu.flags.writeable
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.notes == ()


@pytest.mark.parametrize("syntax", ["implicit", "deflated", "jpeg-ls", "rle", "jpeg2000"])
@pytest.mark.parametrize("slope", [1.0, 0.5, 1.37])
def test_agrees_with_pydicom(tmp_path, syntax, slope):
    files = write_ct_series(tmp_path, made_hu(3), syntax=syntax, slope=slope, intercept=-1000.25)
    slices = [pydicom.dcmread(file) for file in files]
    expected = np.stack([np.rint(apply_modality_lut(ds.pixel_array, ds)) for ds in slices])
    np.testing.assert_array_equal(read_series(tmp_path).hu, expected)


@pytest.mark.parametrize("syntax", ["explicit", "jpeg-lossless", "jpeg-lossless-p14"])
@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), unit_oblique()])
def test_agrees_with_simpleitk_in_voxels_and_geometry(tmp_path, syntax, orientation):
    rng = random.Random(3)
    names = [f"{k}.dcm" for k in range(6)]
    rng.shuffle(names)
    write_ct_series(
        tmp_path, made_hu(6), syntax=syntax, signed=True, names=names, orientation=orientation
    )
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    image = reader.Execute()
    volume = read_series(tmp_path)
    feet_first = SimpleITK.GetArrayFromImage(image)
    np.testing.assert_array_equal(volume.hu, feet_first[::-1])
    np.testing.assert_allclose(volume.spacing_mm, image.GetSpacing()[::-1], atol=1e-5)
    n, rows, columns = volume.hu.shape
    for z in (0, n - 1):
        for y in (0, rows - 1):
            for x in (0, columns - 1):
                peer = image.TransformIndexToPhysicalPoint((x, y, n - 1 - z))
                np.testing.assert_allclose((volume.affine @ (z, y, x, 1))[:3], peer, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(data=st.data(), ascending=st.booleans())
def test_names_and_numbers_never_change_the_volume(data, ascending):
    n = 5
    names = data.draw(st.permutations([f"slice_{k}" for k in range(n)]))
    numbers = data.draw(st.permutations(range(n)))
    hu = made_hu(n, 4, 3)
    z_mm = [float(k) for k in range(n)] if ascending else [float(n - k) for k in range(n)]
    with tempfile.TemporaryDirectory() as folder:
        write_ct_series(Path(folder), hu, z_mm=z_mm, names=names, instance_numbers=numbers)
        volume = read_series(Path(folder))
    order = range(n)[::-1] if ascending else range(n)
    np.testing.assert_array_equal(volume.hu, hu[list(order)])
    assert volume.instance_numbers == tuple(numbers[k] for k in order)
    assert [path.name for path in volume.source_files] == [names[k] for k in order]
    assert (np.diff(volume.z_mm) < 0).all()


def test_many_threads_give_the_same_volume_and_every_progress_step(tmp_path):
    hu = made_hu(30)
    write_ct_series(tmp_path, hu, syntax="jpeg-lossless")
    steps: list[tuple[int, int]] = []
    volume = read_series(tmp_path, jobs=4, progress=lambda done, total: steps.append((done, total)))
    np.testing.assert_array_equal(volume.hu, hu)
    assert steps == [(k, 30) for k in range(1, 31)]


def test_takes_the_ct_series_with_most_slices_and_says_so(tmp_path):
    few, many = made_hu(2), made_hu(4, seed=1)
    write_ct_series(tmp_path, few, names=["a", "b"], series_uid="1.2.1")
    write_ct_series(tmp_path, many, names=list("cdef"), series_uid="1.2.2")
    write_ct_series(
        tmp_path, made_hu(6), names=list("ghijkl"), series_uid="1.2.3",
        edit=lambda ds, _: setattr(ds, "Modality", "MR"),
    )  # fmt: skip
    volume = read_series(tmp_path)
    np.testing.assert_array_equal(volume.hu, many)
    assert volume.series_uid == "1.2.2"
    assert volume.notes == (
        "6 files are not CT and were left out.",
        "Of 2 CT volumes the largest is read (4 slices); left out: 2 slices of another series.",
    )


def test_sets_localizers_and_foreign_files_apart(tmp_path):
    def scout_first(ds, k):
        if k == 0:
            ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    hu = made_hu(4)
    write_ct_series(tmp_path, hu, edit=scout_first)
    (tmp_path / "README.txt").write_text("hello")
    (tmp_path / "empty").touch()
    (tmp_path / ".hidden").write_text("hidden")
    (tmp_path / "folder").mkdir()
    volume = read_series(tmp_path)
    np.testing.assert_array_equal(volume.hu, hu[1:])
    assert volume.notes == (
        "2 files are not DICOM and were left out.",
        "1 localizer was set apart.",
    )


def test_repeated_positions_keep_the_lowest_instance_number(tmp_path):
    hu = made_hu(6)
    write_ct_series(tmp_path, hu, z_mm=[10, 10, 8, 8, 6, 6], instance_numbers=[2, 1, 3, 4, 6, 5])
    volume = read_series(tmp_path)
    np.testing.assert_array_equal(volume.hu, hu[[1, 2, 5]])
    assert volume.notes[0].startswith("3 of 6 slices repeat the position")


@pytest.mark.parametrize("count", [0, 3])
def test_an_empty_folder_or_one_without_dicom_is_an_error(tmp_path, count):
    for k in range(count):
        (tmp_path / f"{k}.txt").write_text("x" * 200)
    with pytest.raises(DicomSeriesError, match=r"give (a|the) folder"):
        read_series(tmp_path)


def test_an_entry_that_cannot_be_looked_at_is_left_out_with_the_reason(tmp_path):
    write_ct_series(tmp_path, made_hu())
    (tmp_path / "link").symlink_to("a" * 300)
    volume = read_series(tmp_path)
    assert volume.n_slices == 5
    assert volume.notes == (
        "1 file is damaged and was left out (link: it cannot be opened (File name too long)).",
    )


def test_a_missing_folder_and_a_file_are_errors(tmp_path):
    with pytest.raises(DicomSeriesError, match="no such folder"):
        read_series(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(DicomSeriesError, match="it is a file"):
        read_series(tmp_path / "file")


def test_no_ct_names_what_is_there_but_no_free_text(tmp_path):
    kinds = iter(["MR", "MR", "made^up", "CT"])

    def edit(ds, _k):
        ds["Modality"] = pydicom.DataElement(
            "Modality", "CS", next(kinds), validation_mode=pydicom.config.IGNORE
        )
        if ds.Modality == "CT":
            ds.ImageType = ["DERIVED", "SECONDARY", "LOCALIZER"]

    write_ct_series(tmp_path, made_hu(4), edit=edit)
    with pytest.raises(DicomSeriesError, match="only 1 CT localizers, 2 MR, 1 unnamed"):
        read_series(tmp_path)


def test_a_volume_too_large_is_refused_before_it_is_allocated(tmp_path, monkeypatch):
    write_ct_series(tmp_path, made_hu(3, 10, 10))
    monkeypatch.setattr(series, "MAX_VOLUME_BYTES", 599)
    monkeypatch.setattr(series, "_read_pixels", lambda *_: pytest.fail("was allocated"))
    with pytest.raises(DicomSeriesError, match="memory"):
        read_series(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Rows": 60_000}, "60000 × 10, outside 1..4096"),
        ({"Rows": 0}, "outside 1..4096"),
        ({"RescaleSlope": "nan"}, "RescaleSlope"),
        ({"RescaleSlope": "0"}, "RescaleSlope"),
        ({"RescaleIntercept": "inf"}, "RescaleIntercept"),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "RGB"),
        ({"NumberOfFrames": 2}, "2 frames without the position of each"),
        ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, "32 of 32 bits"),
        ({"PixelData": b"\0" * 238}, "238 bytes of pixel data where 12 × 10 pixels need 240"),
        ({"ImagePositionPatient": None}, "ImagePositionPatient"),
        ({"ImagePositionPatient": ["1", "nan", "2"]}, "ImagePositionPatient"),
        ({"ImageOrientationPatient": None}, "ImageOrientationPatient"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, 1]}, "ImageOrientationPatient differs"),
        ({"PixelSpacing": None}, "PixelSpacing"),
        ({"PixelSpacing": [0, 0]}, "PixelSpacing"),
        ({"PixelSpacing": [2, 2]}, "PixelSpacing differs"),
        ({"PixelData": None}, "no pixel data"),
    ],
)
def test_a_broken_slice_is_a_typed_error_that_names_the_file(tmp_path, changes, message):
    def edit(ds, k):
        if k != 1:
            return
        for keyword, value in changes.items():
            if value is None:
                del ds[keyword]
            else:
                ds[keyword] = pydicom.DataElement(
                    keyword, pydicom.datadict.dictionary_VR(keyword) if keyword != "PixelData"
                    else "OW", value, validation_mode=pydicom.config.IGNORE,
                )  # fmt: skip

    write_ct_series(tmp_path, made_hu(4), edit=edit)
    with pytest.raises(DicomSeriesError, match=message) as caught:
        read_series(tmp_path)
    assert caught.value.path.name == "2.dcm"
    assert caught.value.remedy in str(caught.value)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_truncated_file_is_an_error(tmp_path, syntax, keep):
    files = write_ct_series(tmp_path, made_hu(3, 64, 64), syntax=syntax)
    content = files[1].read_bytes()
    files[1].write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(DicomSeriesError, match=r"2\.dcm"):
        read_series(tmp_path)


def test_an_unknown_transfer_syntax_is_named_with_a_mend(tmp_path):
    def edit(ds, _):
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"

    write_ct_series(tmp_path, made_hu(2), syntax="jpeg-lossless", edit=edit)
    with pytest.raises(DicomSeriesError, match=r"MPEG2.*gdcmconv"):
        read_series(tmp_path)


def test_no_patient_text_in_logs_or_errors(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    files = write_ct_series(tmp_path, made_hu(9))
    read_series(tmp_path)
    files[0].write_bytes(files[0].read_bytes()[:-50])
    with pytest.raises(DicomSeriesError) as caught:
        read_series(tmp_path)
    for text in (caplog.text, str(caught.value)):
        assert "Made^Up" not in text
        assert "MADE-UP" not in text


@pytest.mark.parametrize("reverse", [False, True])
def test_one_slice_alone_is_that_of_the_series(tmp_path, reverse):
    hu = made_hu(n=9)
    z_mm = [100.0 - 2 * k for k in range(9)]
    write_ct_series(tmp_path / "s", hu, z_mm=z_mm[::-1] if reverse else z_mm)
    whole = read_series(tmp_path / "s")
    found, index = read_one_slice(tmp_path / "s", lambda volume: volume.n_slices // 2 + 1)
    assert index == 5
    np.testing.assert_array_equal(found.hu[5], whole.hu[5])
    assert not found.hu[[0, 1, 2, 3, 4, 6, 7, 8]].any()
    assert found.affine == pytest.approx(whole.affine)
    assert found.instance_numbers == whole.instance_numbers
    with pytest.raises(DicomSeriesError, match="9 slices, but slice 9 was asked for"):
        read_one_slice(tmp_path / "s", lambda volume: 9)


@pytest.mark.parametrize("order", ORDERS[::5])
def test_one_slice_of_a_turned_series_is_that_of_the_series(tmp_path, order):
    hu = made_hu(n=9, rows=9, cols=9)
    affine = np.array([[0, 0, 0.7, 0], [0, 0.6, 0, 0], [-2.0, 0, 0, 40], [0, 0, 0, 1]])
    write_turned(tmp_path / "s", hu, affine, order)
    whole = read_series(tmp_path / "s")
    found, _ = read_one_slice(tmp_path / "s", lambda volume: 2)
    np.testing.assert_array_equal(found.hu[2], whole.hu[2])
