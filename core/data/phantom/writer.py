"""Write a synthetic study as CT DICOM, masks and truth, in RSNA's layout."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from core import atomic
from core.data.phantom.grid import Grid
from core.data.phantom.study import PhantomStudy

INTERCEPT = -1024
UID_ROOT = "2.25."
"""Root for UIDs derived from 128-bit numbers (DICOM PS3.5, B.2)."""


def derived_uid(*parts: object) -> UID:
    """A UID that depends on nothing but `parts`."""
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return UID(UID_ROOT + str(int.from_bytes(digest[:16], "big")))


def write_study(study: PhantomStudy, out: Path, study_uid: str) -> None:
    """Write images, vertebra mask, fracture mask and truth of one study below `out`.

    The truth file comes last: where it exists, the study is complete.

    Raises:
        StorageError: The folder cannot be written.
    """
    folder = out / "train_images" / study_uid
    shutil.rmtree(folder, ignore_errors=True)
    series_uid = derived_uid(study_uid, "series")
    for i in range(study.grid.n_slices):
        with atomic.atomic_path(folder / f"{i + 1}.dcm") as path:
            _slice_dataset(study, i, study_uid, series_uid).save_as(path, enforce_file_format=True)
    write_mask(out / "segmentations" / f"{study_uid}.nii", study.mask, study.grid)
    if study.fractures:
        write_mask(out / "fracture_masks" / f"{study_uid}.nii.gz", study.clefts, study.grid)
    atomic.write_json(out / "phantom_truth" / f"{study_uid}.json", study_truth(study))


def study_truth(study: PhantomStudy) -> dict[str, Any]:
    """What was planted: labels, boxes by file number, and the kind of each fracture."""
    return {
        "labels": list(study.labels),
        "fractures": [
            {
                "vertebra": f.vertebra,
                "kind": f.kind,
                "gap_mm": [round(b.gap_mm, 2) for b in f.breaks],
            }
            for f in study.fractures
        ],
        "boxes": [[i + 1, *xyxy] for i, xyxy in study.boxes()],
        "n_slices": study.grid.n_slices,
    }


def write_mask(path: Path, mask: NDArray[np.uint8], grid: Grid) -> None:
    """Write uint8 (z, y, x) labels as a sagittally stored NIfTI, as RSNA's are.

    The array axes become (anterior, superior, left-to-right); the affine tells where (RAS mm).
    """
    stored = np.ascontiguousarray(mask.transpose(1, 0, 2)[::-1, ::-1, :])
    affine = np.array(
        [
            [0, 0, -grid.pixel_mm, -grid.corner[0]],
            [grid.pixel_mm, 0, 0, -float(grid.y()[-1])],
            [0, grid.slice_mm, 0, float(grid.z()[-1])],
            [0, 0, 0, 1],
        ]
    )
    suffix = ".nii.gz" if path.name.endswith(".gz") else ".nii"
    with atomic.atomic_path(path.with_name(path.name.removesuffix(suffix) + suffix)) as temporary:
        named = temporary.with_name(temporary.name + suffix)
        nib.save(nib.Nifti1Image(stored, affine), named)
        named.replace(temporary)


def _slice_dataset(study: PhantomStudy, i: int, study_uid: str, series_uid: str) -> Dataset:
    grid = study.grid
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = derived_uid(study_uid, "slice", i)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study_uid, series_uid
    ds.FrameOfReferenceUID = derived_uid(study_uid, "frame")
    ds.PatientName, ds.PatientID = "SYNTHETIC^PHANTOM", f"PHANTOM-{study_uid[-8:]}"
    ds.PatientBirthDate, ds.PatientSex, ds.PatientPosition = "", "O", "HFS"
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber, ds.StudyID = "20260101", "000000", "", "1"
    ds.ReferringPhysicianName = ""
    ds.Modality, ds.Manufacturer, ds.ManufacturerModelName = "CT", "Phantom generator", "Synthetic"
    ds.SeriesDescription, ds.BodyPartExamined = "SYNTHETIC C-SPINE", "CSPINE"
    ds.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    ds.SeriesNumber, ds.AcquisitionNumber, ds.InstanceNumber = 1, 1, i + 1
    ds.KVP, ds.ConvolutionKernel = 120, "SYNTHETIC"
    x, y, z = grid.corner[0], grid.corner[1], float(grid.z()[i])
    ds.ImagePositionPatient = [round(x, 4), round(y, 4), round(z, 4)]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.SliceLocation = round(z, 4)
    ds.PixelSpacing = [round(grid.pixel_mm, 6)] * 2
    ds.SliceThickness = ds.SpacingBetweenSlices = grid.slice_mm
    ds.Rows = ds.Columns = grid.matrix
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = INTERCEPT, 1, "HU"
    ds.WindowCenter, ds.WindowWidth = 400, 1800
    stored = (study.hu[i].astype(np.int32) - INTERCEPT).astype("<u2")
    ds.PixelData = stored.tobytes()
    return ds
