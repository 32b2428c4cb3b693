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
    "CT_small.dcm", "J2K_pixelrep_mismatch.dcm", "JPEG-lossy.dcm", "JPEG2000.dcm",
    "JPEG2000-embedded-sequence-delimiter.dcm", "JPGExtended.dcm", "MR_small.dcm",
}  # fmt: skip
"""Some of the files whose pixels are read, so that the shelf is not refused as a whole."""
LOSSY_TOLERANCE = {"JPEG-lossy.dcm": 4, "JPGExtended.dcm": 4, "JPEG2000.dcm": 1}
"""Stored values by which two decoders of a lossy stream may differ."""


def test_the_shelf_is_there():
    assert len(FILES) > 150
    assert {path.name for path in FILES} >= READ


@pytest.mark.parametrize("name", NAMES)
def test_a_file_alone_in_its_folder_is_hu_as_in_pydicom_or_refused_in_one_sentence(name, tmp_path):
    shutil.copy(SHELF / name, tmp_path)
    file = tmp_path / Path(name).name
    try:
        volume = read_series(tmp_path)
    except CSpineError as error:
        assert re.fullmatch(r"[^\n]{10,400}\.", str(error))
        return
    expected = hu_of(file)
    np.testing.assert_allclose(volume.hu[0], expected, atol=LOSSY_TOLERANCE.get(file.name, 0))
    assert read_metadata(file).groups


@pytest.mark.parametrize("name", NAMES)
def test_the_pixels_of_every_kind_of_image_are_those_of_pydicom_or_refused(name):
    """Whatever the modality: MR, NM and dose files hold encodings that CT files may have as well."""
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
    np.testing.assert_allclose(out, hu_of(file), atol=LOSSY_TOLERANCE.get(file.name, 0))


def hu_of(file: Path) -> Any:
    """HU of one image as pydicom has them, int16 (y, x); padding is air."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = pydicom.dcmread(file, force=True)
        _fill_in(ds)
        stored = ds.pixel_array
        hu = apply_rescale(stored, ds)
    hu = np.clip(np.rint(hu), -32768, 32767)
    if "PixelPaddingValue" in ds:
        low = int(ds.PixelPaddingValue)
        high = int(ds.get("PixelPaddingRangeLimit", low))
        hu[(stored >= min(low, high)) & (stored <= max(low, high))] = -1024
    return hu


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
