"""Values shared by the packages: frozen, typed, with units and axis order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import DataRootError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoxXyxy = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""
TableBox = tuple[int, BoxXyxy]
"""A row of `train_bounding_boxes.csv`: the DICOM file's number, and xyxy on its pixels."""
Progress = Callable[[int, int], None]
"""Called with the number of items done and the total."""
Say = Callable[[str], None]
"""Shows one line of text to the user."""
_LONGEST_ID: Final = 160
"""Bytes; names of files add some to it, and file systems allow 255."""


class StudyId(str):
    """StudyInstanceUID or another name of a study, safe as the name of a file or folder.

    Args:
        text: Name from a file, a link or a folder.

    Raises:
        DataRootError: The text is not the name of a single file or folder. It is not quoted, as it
            may be anything.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> StudyId:
        """Check the text."""
        if not cls.fits(text):
            raise DataRootError(
                "A study id is not a StudyInstanceUID or another name without slashes; correct it."
            )
        return super().__new__(cls, text)

    @staticmethod
    def fits(text: str) -> bool:
        """Whether a text is a study id."""
        return (
            text.isprintable()
            and not text.startswith(".")
            and not set(text) & set("/\\")
            and 0 < len(text.encode()) <= _LONGEST_ID
        )


@dataclass(frozen=True, slots=True)
class HuWindow:
    """A display window in Hounsfield units.

    Attributes:
        center: Centre in HU.
        width: Full width in HU, > 0.
    """

    center: float
    width: float

    def __post_init__(self) -> None:
        if not self.width > 0:
            raise ValueError(f"A window needs a width above 0 HU, but it is {self.width}.")

    @property
    def lower(self) -> float:
        """HU shown black."""
        return self.center - self.width / 2

    @property
    def upper(self) -> float:
        """HU shown white."""
        return self.center + self.width / 2


NoiseMethod = Literal["none", "threshold", "otsu", "kmeans"]


@dataclass(frozen=True, slots=True)
class NoiseReduction:
    """Noise reduction of a prepared slice, grey levels 0..255.

    Attributes:
        method: "threshold" and "otsu" make the background black; "kmeans" gives every pixel the
            mean of its group; "none" leaves the slice unchanged.
        threshold: For "threshold": grey level, 1..255, from which a pixel is kept.
        clusters: For "kmeans": number of groups, 2..8.
    """

    method: NoiseMethod = "none"
    threshold: int = 30
    clusters: int = 4

    def __post_init__(self) -> None:
        if not 1 <= self.threshold <= 255:
            raise ValueError(f"A threshold is a grey level of 1 to 255, not {self.threshold}.")
        if not 2 <= self.clusters <= 8:
            raise ValueError(f"K-means is offered with 2 to 8 groups, not {self.clusters}.")


@dataclass(frozen=True, slots=True)
class AxisOrder:
    """How the axes (z, y, x) of a volume run along those of its files (file, row, column).

    Attributes:
        permutation: Axis of the files, 0 to 2, along which each axis of the volume runs.
        flips: Whether each axis of the volume runs against that axis.
    """

    permutation: tuple[int, int, int] = (0, 1, 2)
    flips: tuple[bool, bool, bool] = (False, False, False)

    @property
    def is_identity(self) -> bool:
        """Whether the voxels lie in the files as in the volume."""
        return self == AS_STORED

    @property
    def keeps_slices(self) -> bool:
        """Whether each slice of the volume has a file of its own, though maybe turned."""
        return self.permutation[0] == 0


AS_STORED: Final = AxisOrder()


@dataclass(frozen=True, slots=True, eq=False)
class CTVolume:
    """One CT series as an array in Hounsfield units.

    Attributes:
        hu: int16 HU, (z, y, x), read-only; slice 0 is the most cranial, rows run to the patient's
            left and columns to the back, however the files are stored.
        spacing_mm: Voxel spacing (z, y, x) in mm; z is the median slice distance.
        affine: float64 (4, 4); maps homogeneous voxel indices (z, y, x, 1) to DICOM LPS mm
            (x to the patient's left, y to the back, z to the head). Exact for even spacing.
        z_mm: float64 (n_slices,), position of each slice along the slice normal in mm,
            pointing to the head, hence decreasing.
        instance_numbers: int per file, DICOM InstanceNumber (0 where absent).
        source_files: One path per file; the files are the slices where `axes.keeps_slices`.
        study_uid: StudyInstanceUID.
        series_uid: SeriesInstanceUID.
        notes: Sentences about choices made while reading, shown to the user.
        shift_px: float64 (n_files, 2), pixels (x, y) of the files by which those of a tilted
            gantry were moved. None if none was moved.
        axes: How the axes of `hu` run along those of the files.
    """

    hu: NDArray[np.int16]
    spacing_mm: tuple[float, float, float]
    affine: NDArray[np.float64]
    z_mm: NDArray[np.float64]
    instance_numbers: tuple[int, ...]
    source_files: tuple[Path, ...]
    study_uid: str
    series_uid: str
    slice_thickness_mm: float | None = None
    notes: tuple[str, ...] = ()
    shift_px: NDArray[np.float64] | None = None
    axes: AxisOrder = AS_STORED

    @property
    def n_slices(self) -> int:
        """Number of slices."""
        return int(self.hu.shape[0])

    @property
    def slice_instance_numbers(self) -> tuple[int, ...]:
        """InstanceNumber of each slice; empty where the slices have no file of their own."""
        return self.instance_numbers if self.axes.keeps_slices else ()


@dataclass(frozen=True, slots=True)
class Store:
    """Folder of prepared slices, volumes and other derived data, with its size limits.

    Attributes:
        folder: Shared by processes and machines; never inside the data set.
        limit_bytes: Size above which the least recently used entries are removed, > 0.
        keep_free_bytes: Disk space that entries leave free.
    """

    folder: Path
    limit_bytes: int
    keep_free_bytes: int


@dataclass(frozen=True, slots=True)
class BoxPrediction:
    """A box on one slice.

    Attributes:
        xyxy: Left, top, right, bottom in pixels of the original slice.
        slice_index: Index i, 0 the most cranial.
        score: In [0, 1]; 1 for ground truth.
    """

    xyxy: BoxXyxy
    slice_index: int
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class FileBox:
    """A predicted box as stored in `boxes.csv`.

    Attributes:
        slice_number: Number of the DICOM file, as in RSNA's tables.
        xyxy: Left, top, right, bottom in pixels of that file.
        score: In [0, 1].
    """

    slice_number: int
    xyxy: BoxXyxy
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class RawDetections:
    """Boxes of localisers for one study before fusion; the only localiser output that is stored.

    Attributes:
        study_id: StudyInstanceUID.
        slice_index: int64 (n,), slice of each box, 0 the most cranial.
        xyxy: float64 (n, 4) in pixels of the volume's slices.
        scores: float64 (n,) in [0, 1].
        source: int64 (n,), the pass that each box is from: a model with an augmentation.
        n_sources: Number of passes over every slice.
        z_mm: float64 (n_slices,), as in `CTVolume`.
        models: Names of the bundles.
    """

    study_id: str
    slice_index: NDArray[np.int64]
    xyxy: NDArray[np.float64]
    scores: NDArray[np.float64]
    source: NDArray[np.int64]
    n_sources: int
    z_mm: NDArray[np.float64]
    models: tuple[str, ...] = ()

    @property
    def n_slices(self) -> int:
        """Number of slices."""
        return len(self.z_mm)


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """One study of a data root with its labels, boxes and mask.

    Attributes:
        study_id: StudyInstanceUID of its files; the folder's name where none states it.
        folder: The folder with its DICOM files.
        fractured: Truth y_j for C1..C7 (7 booleans), None if unlabelled.
        boxes: The study's rows of `train_bounding_boxes.csv`.
        mask_file: `segmentations/<uid>.nii`, None if there is none.
        names: Names of its folders, by which tables may call it.
    """

    study_id: str
    folder: Path
    fractured: tuple[bool, ...] | None = None
    boxes: tuple[TableBox, ...] = ()
    mask_file: Path | None = None
    names: tuple[str, ...] = ()

    @property
    def patient_fractured(self) -> bool | None:
        """Whether any of C1..C7 is fractured; None if unlabelled."""
        return None if self.fractured is None else any(self.fractured)


@dataclass(frozen=True, slots=True, eq=False)
class SlicePredictions:
    """Network outputs for one study, one row per slice; the only scores that are stored.

    Attributes:
        study_id: StudyInstanceUID.
        z_mm: float64 (n_slices,), as in `CTVolume`.
        vertebra_probs: float32 (n_slices, 7), presence v_ij.
        fracture_probs: float32 (n_slices, 7), f_ij; a Type 1 model repeats its one value.
        fracture_type: 1, 2, 3, or 4 for boxes; determines the formula for p_i.
        instance_numbers: int per slice; empty where the slices have no file of their own.
        models: Names of the bundles that produced them.
        distribution_score: Distance of the study from those the networks were made for, where 1 is
            the 99th percentile of reference studies; None without a reference.
    """

    study_id: str
    z_mm: NDArray[np.float64]
    vertebra_probs: NDArray[np.float32]
    fracture_probs: NDArray[np.float32]
    fracture_type: int
    instance_numbers: tuple[int, ...] = ()
    models: tuple[str, ...] = ()
    distribution_score: float | None = None

    @property
    def n_slices(self) -> int:
        """Number of slices."""
        return int(self.vertebra_probs.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class PatientPrediction:
    """Slice, vertebra and patient scores of one study, aggregated from `SlicePredictions`.

    Attributes:
        study_id: StudyInstanceUID.
        slice_probs: float64 (n_slices,), p_i.
        slice_seen: bool (n_slices,); False where no vertebra was found and p_i is 0.
        vertebra_probs: float64 (7,), p_j for C1..C7.
        vertebra_seen: bool (7,); False where the presence of the vertebra sums to 0.
        patient_prob: p = 1 - prod_j (1 - p_j).
    """

    study_id: str
    slice_probs: NDArray[np.float64]
    slice_seen: NDArray[np.bool_]
    vertebra_probs: NDArray[np.float64]
    vertebra_seen: NDArray[np.bool_]
    patient_prob: float
    models: tuple[str, ...] = field(default=())


LevelName = Literal["slice", "vertebra", "patient", "presence"]
