"""Every DICOM file that installs with pydicom: the same HU as pydicom, or a typed refusal."""

from __future__ import annotations

import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom import data
from pydicom.pixels.processing import apply_rescale
from pydicom.tag import Tag

from core.dicom.headers import read_headers
from core.dicom.metadata import read_metadata
from core.dicom.pixels import read_slice
from core.dicom.series import read_series
from core.errors import CSpineError, DicomSeriesError

SHELF = Path(data.__file__).parent
FILES = sorted(
    path
    for path in SHELF.rglob("*")
    if path.is_file() and not path.suffix.startswith((".py", ".json", ".txt", ".md"))
)
NAMES = [str(path.relative_to(SHELF)) for path in FILES]

READ = {
    "693_J2KI.dcm", "CT_small.dcm", "J2K_pixelrep_mismatch.dcm", "JPEG-lossy.dcm", "JPEG2000.dcm",
    "JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm", "JPGExtended.dcm", "MR_small.dcm",
    "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_expb.dcm", "MR_small_implicit.dcm",
    "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_padded.dcm",
    "chrGreek.dcm", "chrRuss.dcm", "examples_overlay.dcm", "image_dfl.dcm",
}  # fmt: skip
"""Files whose pixels are read, one of each kind at least."""


def test_the_shelf_is_there():
    assert len(FILES) > 150
    assert {path.name for path in FILES} >= READ


@pytest.mark.parametrize("name", NAMES)
def test_a_file_alone_in_its_folder_is_hu_as_in_pydicom_or_refused_in_one_sentence(name, tmp_path):
    shutil.copy(SHELF / name, tmp_path)
    file = tmp_path / Path(name).name
    volume, refusal = None, ""
    try:
        volume = read_series(tmp_path)
    except CSpineError as error:
        refusal = str(error)
    if volume is None:
        assert re.fullmatch(r"[^\n]{10,400}\.", refusal)
        return
    expected = hu_of(file)
    np.testing.assert_array_equal(volume.hu[0], expected)
    assert read_metadata(file).groups


@pytest.mark.parametrize("name", NAMES)
def test_the_pixels_of_every_kind_of_image_are_those_of_pydicom_or_refused(name):
    """Whatever the modality: MR, NM and dose files hold encodings that CT files may have, too."""
    file = SHELF / name
    try:
        (header, *others) = read_headers(file) or (None,)
        if header is None:
            assert Path(name).name not in READ
            return
        assert not others
        out = np.zeros((header.rows, header.columns), np.int16)
        if header.flaw:
            raise DicomSeriesError(file, header.flaw, "remove it")
        read_slice(header, out)
    except DicomSeriesError:
        assert file.name not in READ
        return
    np.testing.assert_array_equal(out, hu_of(file))


def hu_of(file: Path) -> Any:
    """HU of one image as pydicom has them, int16 (y, x); padding is air."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = pydicom.dcmread(file, force=True)
        _fill_in(ds)
        stored = _stored(ds, file)
        inverted = ds.PhotometricInterpretation == "MONOCHROME1"
        grey = 2**ds.BitsStored - 1 - stored if inverted else stored
        hu = apply_rescale(grey, ds)
    hu = np.clip(np.rint(hu), -32768, 32767)
    if "PixelPaddingValue" in ds:
        low = int(ds.PixelPaddingValue)
        high = int(ds.get("PixelPaddingRangeLimit", low))
        hu[(stored >= min(low, high)) & (stored <= max(low, high))] = -1024
    return hu


def _stored(ds: pydicom.Dataset, file: Path) -> Any:
    """Stored values as pydicom decodes them, or SimpleITK where pydicom needs one more plugin."""
    if ds.file_meta.TransferSyntaxUID == pydicom.uid.JPEGExtended12Bit:
        return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file))).squeeze()
    return ds.pixel_array


def _fill_in(ds: pydicom.Dataset) -> None:
    """State what pydicom does not guess: the transfer syntax of a bare data set."""
    if getattr(ds, "file_meta", None) is None:
        ds.file_meta = pydicom.dataset.FileMetaDataset()
    if Tag("TransferSyntaxUID") not in ds.file_meta:
        implicit, little = ds.original_encoding
        ds.file_meta.TransferSyntaxUID = (
            pydicom.uid.ImplicitVRLittleEndian if implicit
            else pydicom.uid.ExplicitVRLittleEndian if little
            else pydicom.uid.ExplicitVRBigEndian
        )  # fmt: skip
