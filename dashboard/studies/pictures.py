"""Small pictures of slices for lists, cut around their boxes, which are drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.cache.keys import fingerprint_folder
from core.constants import DISPLAY_WINDOWS
from core.dataset.true_boxes import boxes_on_volume
from core.errors import DataRootError
from core.inference.boxes.tracks import FusionSettings, detect
from core.prepared.series_digests import series_digest
from core.preprocessing.intensity import window_to_uint8
from core.preprocessing.spine_field import find_spine_field
from core.system import atomic_files
from core.system.file_tree import files_below
from core.types import BoxXyxy, CTVolume, HuWindow, StudyId, StudyRecord
from core.visualization.colors import PREDICTED_BOX_COLOR, TRUE_BOX_COLOR
from dashboard.session.access import check_allowed
from dashboard.session.settings import settings
from dashboard.studies.cohort import files_signature
from dashboard.studies.confined import read_slice
from dashboard.studies.localizer import default_threshold, localizers
from dashboard.studies.open_study import OpenStudy
from dashboard.studies.raw_boxes import BOXES_FOLDER, find_raw
from dashboard.studies.served_bytes import ServedBytes
from dashboard.studies.synthetic_studies import study_record

SIDE: Final = 224
"""Pixels of a picture's side."""
FIELD_MM: Final = 90.0
"""Smallest side of the square that is cut out."""
_MARGIN: Final = 1.5
"""Side of the square, as a multiple of the longest side around the boxes."""
_BONE: Final = HuWindow(*DISPLAY_WINDOWS["bone"])
_DASH_PX: Final = 8
_MAKERS: Final = ThreadPoolExecutor(2, thread_name_prefix="pictures")


@dataclass(frozen=True, slots=True)
class WantedPicture:
    """A small picture that a browser may ask for.

    Attributes:
        study_id: StudyInstanceUID.
        slice_index: 0 the most cranial; None for that of the middle true box, else the middle one.
        root: Data root to look in first.
        predicted: Whether the boxes of a localiser are drawn too, where it has run.
    """

    study_id: StudyId
    slice_index: int | None
    root: Path | None = None
    predicted: bool = True

    @property
    def owner(self) -> None:
        """Every session of this server may see it."""
        return None


PICTURES: Final = ServedBytes[WantedPicture]("picture", 8192, 0)
"""Filled by the pages, read by the route."""


def picture_name(wanted: WantedPicture) -> str:
    """Name of a picture in URLs, another one once more boxes are known.

    Raises:
        DataRootError: The user may not use this server.
    """
    check_allowed("look", DataRootError, "to see pictures")
    state = _state_of_boxes() if wanted.predicted else ""
    return PICTURES.register(f"{wanted}{state}", wanted)


def make_picture(wanted: WantedPicture) -> Path:
    """The picture as PNG, made if it does not exist yet; for `in_turn`.

    Raises:
        CSpineError: The study cannot be found, made or read.
    """
    record = study_record(wanted.study_id, wanted.root)
    folder = settings().rsna_cache / "pictures"
    file = folder / f"{_digest(record, wanted)}.png"
    if file.is_file():
        return file
    volume, index = read_slice(record.folder, lambda volume: _index(volume, record, wanted))
    true = [box.xyxy for box in boxes_on_volume(record.boxes, volume) if box.slice_index == index]
    predicted = _predicted(volume, record, index) if wanted.predicted else []
    done, encoded = cv2.imencode(".png", draw_slice(volume, index, true, predicted))
    if not done:
        raise DataRootError(f"The picture of study {record.study_id} cannot be encoded.")
    atomic_files.write_bytes(file, encoded.tobytes())
    return file


def in_turn() -> ThreadPoolExecutor:
    """Threads in which pictures are made, few so that they leave processors to the pages."""
    return _MAKERS


def draw_slice(
    volume: CTVolume, index: int, true: Sequence[BoxXyxy], predicted: Sequence[BoxXyxy]
) -> NDArray[np.uint8]:
    """A square around the boxes, or around the spine without any, in the bone window.

    Args:
        volume: int16 HU, (z, y, x).
        index: Slice index, 0 the most cranial.
        true: Boxes of the data set on the slice.
        predicted: Boxes of a localiser on the slice.

    Returns:
        uint8 (SIDE, SIDE, 3), BGR.
    """
    square = _square(volume, index, [*true, *predicted])
    left, top, right, bottom = (round(edge) for edge in square)
    grey = window_to_uint8(volume.hu[index], _BONE)
    height, width = grey.shape
    inside = grey[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    cut = np.zeros((bottom - top, right - left), np.uint8)
    y, x = max(-top, 0), max(-left, 0)
    cut[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    shrinks = max(cut.shape) > SIDE
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    picture = cv2.cvtColor(cv2.resize(cut, (SIDE, SIDE), interpolation=how), cv2.COLOR_GRAY2BGR)
    return draw_boxes(np.asarray(picture, np.uint8), (left, top, right, bottom), true, predicted)


def draw_boxes(
    picture: NDArray[np.uint8], square: BoxXyxy, true: Iterable[BoxXyxy],
    predicted: Iterable[BoxXyxy],
) -> NDArray[np.uint8]:  # fmt: skip
    """Draw predicted boxes with a full and true ones with a dashed line, as the viewer does.

    Args:
        picture: uint8 (h, w, 3), BGR; drawn on.
        square: Part of the slice that the picture shows, xyxy in pixels of the slice.
        true: Boxes in pixels of the slice.
        predicted: As `true`.

    Returns:
        `picture`.
    """
    for box in predicted:
        corners = _placed(picture, square, box)
        cv2.rectangle(picture, corners[0], corners[1], _bgr(PREDICTED_BOX_COLOR), 2)
    for box in true:
        _dashed(picture, *_placed(picture, square, box), _bgr(TRUE_BOX_COLOR))
    return picture


def _index(volume: CTVolume, record: StudyRecord, wanted: WantedPicture) -> int:
    if wanted.slice_index is not None:
        return wanted.slice_index
    boxed = sorted(box.slice_index for box in boxes_on_volume(record.boxes, volume))
    return boxed[len(boxed) // 2] if boxed else volume.n_slices // 2


def _predicted(volume: CTVolume, record: StudyRecord, index: int) -> list[BoxXyxy]:
    """Boxes of the first localiser that has run on the study, from its operating point."""
    fingerprint = series_digest(record.folder, fingerprint_folder, settings().rsna_cache)
    study = OpenStudy(fingerprint, volume)
    for bundle in localizers():
        if (raw := find_raw(study, bundle)) is not None:
            found = detect(raw, FusionSettings()).above(default_threshold(bundle))
            rows = found.xyxy[found.slice_index == index].tolist()
            return [(x0, y0, x1, y1) for x0, y0, x1, y1 in rows]
    return []


def _square(volume: CTVolume, index: int, boxes: Sequence[BoxXyxy]) -> BoxXyxy:
    """The part of a slice to show, xyxy in pixels of the slice; square in mm."""
    _, step_y, step_x = volume.spacing_mm
    if not boxes:
        field = find_spine_field(volume.hu[index : index + 1], volume.spacing_mm, FIELD_MM)
        left, top, right, bottom = field.box_xyxy(0)
        return float(left), float(top), float(right), float(bottom)
    edges = np.array(boxes, np.float64)
    (x0, y0), (x1, y1) = edges[:, :2].min(axis=0), edges[:, 2:].max(axis=0)
    side = max(FIELD_MM, _MARGIN * (x1 - x0) * step_x, _MARGIN * (y1 - y0) * step_y)
    middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
    half_x, half_y = side / step_x / 2, side / step_y / 2
    return middle_x - half_x, middle_y - half_y, middle_x + half_x, middle_y + half_y


def _placed(
    picture: NDArray[np.uint8], square: BoxXyxy, box: BoxXyxy
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Upper left and lower right corner of a box in pixels of the picture."""
    start, end = np.array(square[:2]), np.array(square[2:])
    scale = np.array(picture.shape[1::-1]) / (end - start)
    corners = np.rint((np.array(box).reshape(2, 2) - start) * scale).astype(int).tolist()
    (x0, y0), (x1, y1) = corners
    return (x0, y0), (x1, y1)


def _dashed(
    picture: NDArray[np.uint8], first: tuple[int, int], last: tuple[int, int],
    color: tuple[int, int, int],
) -> None:  # fmt: skip
    (x0, y0), (x1, y1) = first, last
    for x in range(x0, x1, 2 * _DASH_PX):
        for y in (y0, y1):
            cv2.line(picture, (x, y), (min(x + _DASH_PX, x1), y), color, 2)
    for y in range(y0, y1, 2 * _DASH_PX):
        for x in (x0, x1):
            cv2.line(picture, (x, y), (x, min(y + _DASH_PX, y1)), color, 2)


def _bgr(color: str) -> tuple[int, int, int]:
    red, green, blue = (int(color[k : k + 2], 16) for k in (1, 3, 5))
    return blue, green, red


def _state_of_boxes() -> str:
    """Changes when a localiser has run on a study, or another one is installed."""
    installed = [f"{b.config.weights_sha256} {default_threshold(b)}" for b in localizers()]
    return f"{files_signature(settings().rsna_cache / BOXES_FOLDER)} {installed}"


def _digest(record: StudyRecord, wanted: WantedPicture) -> str:
    """Digest of everything that a picture depends on."""
    state = _state_of_boxes() if wanted.predicted else ""
    files = files_signature(*files_below(record.folder))
    drawn = f"{files} {wanted.slice_index} {record.boxes} {state} {SIDE} {FIELD_MM}"
    return hashlib.sha256(drawn.encode()).hexdigest()[:32]
