"""Files of labels, NIfTI or DICOM: whole numbers, and where they lie by the form for the scan."""

from __future__ import annotations

import contextlib
import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from core.dataset.dicom_masks import MAX_MASK_BYTES, has_preamble, read_segmentation
from core.errors import DataRootError

MAX_LABEL: Final = 19
"""T12; 1..7 are C1..C7 and 8..19 T1..T12."""

ROUNDING: Final = 0.05
"""Distance from a whole number that scaled storage can cause: 19 / 255 / 2 for labels in a byte."""

_GZIP: Final = b"\x1f\x8b"
_HEAD_BYTES: Final = 132
_PLANES: Final = "planes"
_NIFTI: Final = {348: nib.Nifti1Image, 540: nib.Nifti2Image}
"""By sizeof_hdr, the first number of the file."""
_TEMPLATE_CODES: Final = (3, 4, 5)
"""Talairach, MNI 152 and other templates (nifti1.h): the position of another head, not of this."""
_UNREADABLE: Final = (
    ImageFileError, HeaderDataError, OSError, EOFError, ValueError, AttributeError, KeyError,
    OverflowError, MemoryError, zlib.error, WrapStructError,
)  # fmt: skip
"""Errors that a damaged file can raise in nibabel and below."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelFile:
    """The labels of a mask, and its place.

    Attributes:
        labels: uint8 (i, j, k), 0..19.
        forms: By name, "sform" or "qform", or "planes" of DICOM, float64 (4, 4) from (i, j, k, 1)
            to RAS mm, the one that the standard prefers first. Two only where they disagree.
    """

    labels: NDArray[np.uint8]
    forms: dict[str, NDArray[np.float64]]


def read_labels_file(path: Path) -> LabelFile:
    """Read a mask, NIfTI (compressed or not) or a DICOM segmentation, whatever its name.

    NIfTI-1 gives two forms, each with a code. A code of 0 means that the form is not set. The sform
    goes first (method 3 of nifti1.h), but a form that places the image in a template's space does
    not apply where the other one is of the scanner's space.

    Raises:
        DataRootError: The file is missing, damaged, has other labels or no position.
    """
    try:
        with contextlib.ExitStack() as opened:
            stream: Any = opened.enter_context(path.open("rb"))
            head = stream.read(_HEAD_BYTES)
            packed = head.startswith(_GZIP)
            stream.seek(0)
            if has_preamble(head):
                labels, affine = read_segmentation(path)
                return LabelFile(labels, {_PLANES: affine})
            if packed:
                stream = opened.enter_context(gzip.GzipFile(fileobj=stream))
            image = _image(stream)
            _check_size(path, image)
            values = np.asanyarray(image.dataobj)
            forms = _forms(image.header)
    except FileNotFoundError as error:
        raise DataRootError(f"{path} does not exist; put the mask there.") from error
    except _UNREADABLE as error:
        raise DataRootError(f"{path} cannot be read as NIfTI; copy it again.") from error
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if values.ndim != 3 or 0 in values.shape:
        raise DataRootError(
            f"{path}: the mask has shape {values.shape}, not three axes; export it as one volume."
        )
    if not forms:
        raise DataRootError(
            f"{path}: its header gives neither qform nor sform, so its position is "
            "unknown; export it again with its orientation."
        )
    for affine in forms.values():
        if not np.isfinite(affine).all() or np.linalg.det(affine) == 0:
            raise DataRootError(f"{path}: its affine is invalid; export the mask again.")
    return LabelFile(_as_labels(path, values), _distinct(forms, values.shape))


def _image(stream: Any) -> Any:  # noqa: ANN401 - nibabel's images have no common type
    size = stream.read(4)
    stream.seek(0)
    for order in ("little", "big"):
        kind = _NIFTI.get(int.from_bytes(size, order))
        if kind is not None:
            return kind.from_stream(stream)
    raise ImageFileError("neither NIfTI-1 nor NIfTI-2")


def _check_size(path: Path, image: Any) -> None:  # noqa: ANN401 - as above
    """Refuse a mask by the size in its header, before anything of that size is allocated."""
    size = math.prod(image.shape) * image.get_data_dtype().itemsize
    if not 0 <= size <= MAX_MASK_BYTES:
        raise DataRootError(
            f"{path}: the mask claims a size of {image.shape} voxels; export it as one volume."
        )


def _forms(header: Any) -> dict[str, NDArray[np.float64]]:  # noqa: ANN401 - as above
    """Return the forms that are set and apply to the scan, the preferred one first."""
    codes = {name: int(header[f"{name}_code"]) for name in ("sform", "qform")}
    given = {name: code for name, code in codes.items() if code > 0}
    of_scan = {name for name, code in given.items() if code not in _TEMPLATE_CODES}
    read = {"sform": header.get_sform, "qform": header.get_qform}
    return {
        name: np.asarray(read[name](), dtype=np.float64)
        for name in given
        if name in of_scan or not of_scan
    }


def _distinct(
    forms: dict[str, NDArray[np.float64]], shape: tuple[int, ...]
) -> dict[str, NDArray[np.float64]]:
    """Return the preferred form alone where the other places no corner a voxel away from it."""
    if len(forms) < 2:
        return forms
    (name, first), (_, second) = forms.items()
    ends = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1)
    corners = np.vstack([ends, np.ones(ends.shape[1])])
    apart = np.linalg.norm(((first - second) @ corners)[:3], axis=0).max()
    voxel = np.linalg.norm(first[:3, :3], axis=0).min()
    return {name: first} if apart <= voxel else forms


def _as_labels(path: Path, values: NDArray[Any]) -> NDArray[np.uint8]:
    kind = values.dtype.kind
    if kind == "f" and np.isfinite(values).all():
        whole = np.rint(values)
        if (np.abs(values - whole) > ROUNDING).any():
            raise DataRootError(f"{path}: labels must be whole numbers; export the mask again.")
        values = whole
    if kind not in "biuf" or not 0 <= values.min() <= values.max() <= MAX_LABEL:
        raise DataRootError(
            f"{path}: labels must be 0..{MAX_LABEL} (C1..C7 are 1..7); export the mask again."
        )
    return values.astype(np.uint8)
