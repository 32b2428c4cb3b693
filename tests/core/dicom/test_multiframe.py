"""Enhanced CT: one file of many frames is the series that its frames were."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_rescale
from pydicom.sequence import Sequence as Items

from core.dicom import elements, multiframe
from core.dicom.headers import read_headers
from core.dicom.series import read_series
from core.errors import DicomSeriesError
from core.types import CTVolume
from tests.core.dicom.dicom_factory import SYNTAXES, made_hu, write_ct_series
from tests.core.dicom.enhanced_factory import MACROS, frame_content, write_enhanced_ct

COMPRESSED = [name for name, syntax in SYNTAXES.items() if syntax.is_encapsulated]
PLAIN = ("implicit", "explicit")
OBLIQUE = (1.0, 0.0, 0.0, 0.0, 0.96, -0.28)


@pytest.fixture
def singles(tmp_path):
    """Six files with a rescale and a spacing of their own, and the folder for the enhanced file."""
    return write_ct_series(
        tmp_path / "singles", made_hu(6), orientation=OBLIQUE, slope=0.5, intercept=-1000.5,
        bits_stored=16, signed=False,
    )  # fmt: skip


def same(one: CTVolume, other: CTVolume) -> None:
    np.testing.assert_array_equal(one.hu, other.hu)
    np.testing.assert_array_equal(one.affine, other.affine)
    np.testing.assert_array_equal(one.z_mm, other.z_mm)
    assert one.spacing_mm == other.spacing_mm
    assert one.slice_thickness_mm == other.slice_thickness_mm
    assert (one.study_uid, one.series_uid) == (other.study_uid, other.series_uid)


@pytest.mark.parametrize("syntax", [*PLAIN, *COMPRESSED])
@pytest.mark.parametrize("undefined_lengths", [False, True])
def test_an_enhanced_file_is_its_single_frame_series(singles, tmp_path, syntax, undefined_lengths):
    file = write_enhanced_ct(
        singles, tmp_path / "e" / "one.dcm", syntax=syntax, undefined_lengths=undefined_lengths
    )
    volume = read_series(file.parent)
    same(volume, read_series(tmp_path / "singles"))
    assert volume.notes == ()
    assert volume.instance_numbers == (1, 2, 3, 4, 5, 6)
    assert volume.source_files == (file,) * 6


@pytest.mark.parametrize("syntax", ["explicit", "rle", "jpeg2000", "jpeg-lossless"])
def test_an_enhanced_file_agrees_with_pydicom_and_simpleitk(singles, tmp_path, syntax):
    file = write_enhanced_ct(singles, tmp_path / "e" / "one.dcm", syntax=syntax)
    volume = read_series(file.parent)
    ds = pydicom.dcmread(file)
    group = ds.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0]
    expected = np.rint(apply_rescale(ds.pixel_array, group))
    np.testing.assert_array_equal(volume.hu, expected)
    image = SimpleITK.ReadImage(str(file))
    np.testing.assert_array_equal(volume.hu, np.rint(SimpleITK.GetArrayFromImage(image)))
    np.testing.assert_allclose(volume.spacing_mm, image.GetSpacing()[::-1], atol=1e-5)
    for z, y, x in ((0, 0, 0), (5, 3, 2), (2, 11, 9)):
        peer = image.TransformIndexToPhysicalPoint((x, y, z))
        np.testing.assert_allclose((volume.affine @ (z, y, x, 1))[:3], peer, atol=1e-4)


@pytest.mark.parametrize("shared", [(), ("PixelMeasuresSequence",), tuple(MACROS)[1:4]])
def test_what_frames_share_and_what_they_hold_themselves_is_the_same(singles, tmp_path, shared):
    file = write_enhanced_ct(singles, tmp_path / "e" / "one.dcm", shared=shared)
    same(read_series(file.parent), read_series(tmp_path / "singles"))


def test_each_frame_has_its_own_rescale(tmp_path):
    def edit(ds, k):
        ds.RescaleSlope, ds.RescaleIntercept = str(1 + k), str(-100 * k)

    singles = write_ct_series(tmp_path / "singles", made_hu(4) // 8, intercept=-128, edit=edit)
    shared = ("PlaneOrientationSequence", "PixelMeasuresSequence")
    file = write_enhanced_ct(singles, tmp_path / "e" / "one.dcm", shared=shared)
    volume = read_series(file.parent)
    same(volume, read_series(tmp_path / "singles"))
    stored = pydicom.dcmread(file).pixel_array
    expected = [stored[k] * (1.0 + k) - 100 * k for k in range(4)]
    np.testing.assert_array_equal(volume.hu, np.clip(expected, -32768, 32767))


def test_frames_in_any_order_lie_where_their_positions_say(singles, tmp_path):
    order = [4, 1, 5, 0, 3, 2]
    file = write_enhanced_ct([singles[k] for k in order], tmp_path / "e" / "one.dcm")
    volume = read_series(file.parent)
    same(volume, read_series(tmp_path / "singles"))
    assert volume.instance_numbers == tuple(order.index(k) + 1 for k in range(6))


def test_the_parts_of_a_concatenation_are_one_volume(singles, tmp_path):
    for part, first in enumerate((0, 4), 1):

        def edit(ds, part=part, first=first):
            ds.ConcatenationFrameOffsetNumber = first
            ds.InConcatenationNumber = part
            ds.SOPInstanceUID = f"1.2.{part}"

        write_enhanced_ct(
            singles[first : first + 4], tmp_path / "e" / f"{part}.dcm",
            edit=edit,
        )  # fmt: skip
    volume = read_series(tmp_path / "e")
    same(volume, read_series(tmp_path / "singles"))
    assert volume.instance_numbers == (1, 2, 3, 4, 5, 6)


def test_a_localizer_among_the_frames_is_set_apart(singles, tmp_path):
    def edit(ds):
        item = ds.PerFrameFunctionalGroupsSequence[2]
        item.CTImageFrameTypeSequence[0].FrameType = ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]

    file = write_enhanced_ct(singles, tmp_path / "e" / "one.dcm", edit=edit)
    volume = read_series(file.parent)
    assert volume.instance_numbers == (1, 2, 4, 5, 6)
    assert "1 localizer was set apart." in volume.notes


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("FrameAcquisitionNumber", (1, 2)), ("StackID", ("1", "2")),
        ("TemporalPositionIndex", (1, 2)),
    ],
)  # fmt: skip
def test_two_acquisitions_stacks_or_phases_in_one_file_are_two_volumes(tmp_path, keyword, values):
    """As two series in a folder: the second lies half a step beside the first, 300 HU above."""
    hu = np.clip(made_hu(11), -1000, 2000)
    first = write_ct_series(tmp_path / "first", hu[:6])
    second = write_ct_series(
        tmp_path / "second", hu[6:] + 300, z_first_mm=99.0, series_uid="1.2.3", study_uid="1.2"
    )

    def edit(ds):
        for k, item in enumerate(ds.PerFrameFunctionalGroupsSequence):
            content = frame_content(k + 1, **{keyword: values[k >= 6]})
            item.FrameContentSequence = Items([content])

    file = write_enhanced_ct([*first, *second], tmp_path / "e" / "one.dcm", edit=edit)
    volume = read_series(file.parent)
    np.testing.assert_array_equal(volume.hu, hu[:6])
    assert volume.instance_numbers == (1, 2, 3, 4, 5, 6)
    assert any("5 slices" in note or "5" in note for note in volume.notes)


def test_a_single_frame_in_the_enhanced_form_is_a_slice(singles, tmp_path):
    write_enhanced_ct(singles[:1], tmp_path / "e" / "one.dcm")
    (single,) = read_headers(singles[0])
    (header,) = read_headers(tmp_path / "e" / "one.dcm")
    assert (header.position, header.spacing, header.format) == (
        single.position, single.spacing, single.format,
    )  # fmt: skip
    assert header.frame == 1


@pytest.mark.parametrize("syntax", [name for name in COMPRESSED if name != "rle"])
@pytest.mark.parametrize("table", ["none", "basic"])
def test_a_frame_may_have_several_fragments(singles, tmp_path, syntax, table):
    file = write_enhanced_ct(
        singles, tmp_path / "e" / "one.dcm", syntax=syntax, table=table, fragments=3
    )
    same(read_series(file.parent), read_series(tmp_path / "singles"))


@pytest.mark.parametrize("syntax", ["jpeg-ls", "jpeg2000", "htj2k"])
def test_an_extended_offset_table_is_no_obstacle(singles, tmp_path, syntax):
    file = write_enhanced_ct(singles, tmp_path / "e" / "one.dcm", syntax=syntax, table="extended")
    same(read_series(file.parent), read_series(tmp_path / "singles"))


@pytest.mark.slow
def test_a_long_header_is_read_without_the_general_parser(tmp_path, monkeypatch):
    """500 frames describe themselves in more bytes than are read at first."""
    singles = write_ct_series(tmp_path / "singles", made_hu(500, 4, 4))
    file = write_enhanced_ct(singles, tmp_path / "e" / "one.dcm", shared=())
    assert file.stat().st_size > 2 * elements.HEAD_BYTES
    monkeypatch.setattr(elements, "_parse", lambda *_: pytest.fail("was needed"))
    same(read_series(file.parent), read_series(tmp_path / "singles"))


def test_many_threads_read_the_frames_of_one_file(tmp_path, monkeypatch):
    from core.dicom import series

    monkeypatch.setattr(series, "_FRAME_BYTES", 64)
    singles = write_ct_series(tmp_path / "singles", made_hu(30))
    file = write_enhanced_ct(singles, tmp_path / "e" / "one.dcm", syntax="jpeg-ls")
    steps: list[tuple[int, int]] = []
    volume = read_series(file.parent, jobs=4, progress=lambda *step: steps.append(step))
    same(volume, read_series(tmp_path / "singles"))
    assert steps == [(k, 30) for k in range(1, 31)]


def _drop_position(ds: Dataset) -> None:
    del ds.PerFrameFunctionalGroupsSequence[3].PlanePositionSequence


def _drop_frame(ds: Dataset) -> None:
    ds.PerFrameFunctionalGroupsSequence = Items(ds.PerFrameFunctionalGroupsSequence[:4])


def _add_frame(ds: Dataset) -> None:
    ds.PerFrameFunctionalGroupsSequence.append(ds.PerFrameFunctionalGroupsSequence[0])


def _drop_groups(ds: Dataset) -> None:
    del ds.PerFrameFunctionalGroupsSequence


def _many_frames(ds: Dataset) -> None:
    ds.NumberOfFrames = 20_000


def _cut_pixels(ds: Dataset) -> None:
    ds.PixelData = ds.PixelData[:-100]


def _wrong_slope(ds: Dataset) -> None:
    group = ds.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0]
    group.RescaleSlope = "0"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_drop_position, "no usable ImagePositionPatient"),
        (_drop_frame, "describes 4 of the 6 frames"),
        (_add_frame, "describes more frames than the 6"),
        (_drop_groups, "6 frames without the position of each"),
        (_many_frames, "states 20000 frames, more than 10000"),
        (_cut_pixels, "1340 bytes of pixel data where 6 frames of 12 × 10 pixels need 1440"),
        (_wrong_slope, "RescaleSlope"),
    ],
)
def test_frames_that_cannot_be_told_apart_are_refused_with_the_reason(
    singles, tmp_path, edit, message
):
    file = write_enhanced_ct(singles, tmp_path / "e" / "one.dcm", edit=edit)
    with pytest.raises(DicomSeriesError, match=rf"one\.dcm: .*{message}"):
        read_series(file.parent)


def test_fragments_that_no_table_assigns_are_refused(singles, tmp_path):
    def edit(ds):
        # A basic offset table that points between the fragments.
        value = bytearray(ds.PixelData)
        (length,) = struct.unpack_from("<L", value, 4)
        assert length == 6 * 4
        struct.pack_into("<L", value, 8 + 4, 6)
        ds.PixelData = bytes(value)

    file = write_enhanced_ct(
        singles, tmp_path / "e" / "one.dcm", syntax="jpeg-ls", fragments=2, edit=edit
    )
    with pytest.raises(DicomSeriesError, match="not clear which compressed fragment"):
        read_series(file.parent)


def test_a_compressed_file_that_is_cut_off_is_refused(singles, tmp_path):
    file = write_enhanced_ct(singles, tmp_path / "e" / "one.dcm", syntax="jpeg-ls")
    file.write_bytes(file.read_bytes()[:-60])
    with pytest.raises(DicomSeriesError, match=r"cut off|only 5 compressed fragments"):
        read_series(file.parent)


def test_frames_without_ct_are_left_out_as_one_file(singles, tmp_path):
    def edit(ds):
        ds.Modality = "SEG"

    write_enhanced_ct(singles, tmp_path / "singles" / "seg.dcm", edit=edit)
    volume = read_series(tmp_path / "singles")
    assert volume.n_slices == 6
    assert volume.notes == ("1 file is not CT and was left out.",)


def test_groups_never_change_what_belongs_to_the_file(singles, tmp_path):
    def edit(ds):
        for item in ds.PerFrameFunctionalGroupsSequence:
            content = frame_content(1, Rows=3, SeriesInstanceUID="9.9", Modality="MR")
            item.FrameContentSequence = Items([content])

    file = write_enhanced_ct(singles, tmp_path / "e" / "one.dcm", edit=edit)
    same(read_series(file.parent), read_series(tmp_path / "singles"))


def test_damaged_groups_raise_only_the_typed_error(singles, tmp_path):
    file = write_enhanced_ct(singles, tmp_path / "e" / "one.dcm", undefined_lengths=True)
    content, rng, read = file.read_bytes(), np.random.default_rng(0), 0
    told: list[str] = []
    start = content.index(struct.pack("<HH", 0x5200, 0x9229))
    for _ in range(200):
        broken = bytearray(content)
        for place in rng.integers(start, len(content) - 1440, 3):
            broken[place] = rng.integers(256)
        file.write_bytes(broken)
        try:
            read += read_series(file.parent).n_slices > 0
        except DicomSeriesError as error:
            told.append(str(error))
    assert 0 < read < 200
    assert not [text for text in told if "Made^" in text or "MADE-" in text]


def test_the_limit_of_frames_bounds_the_offset_table(singles: list[Path], tmp_path, monkeypatch):
    monkeypatch.setattr(multiframe, "_MAX_FRAGMENTS", 5)
    file = write_enhanced_ct(singles, tmp_path / "e" / "one.dcm", syntax="jpeg-ls")
    with pytest.raises(DicomSeriesError, match="more fragments than any CT file"):
        read_series(file.parent)
