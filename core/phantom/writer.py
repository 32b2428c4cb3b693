"""Write a synthetic study as CT DICOM, masks and truth, in RSNA's layout."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from core.errors import StorageError
from core.phantom.grid import Grid
from core.phantom.quirks import Numbering, number_files
from core.phantom.slice_dataset import SliceWriter
from core.phantom.study import PhantomStudy
from core.system import atomic_files
from core.system.uids import derived_uid

CUT_SHARE = 0.6
"""Bytes that remain of a truncated file."""

THICK_FACTOR = 5
"""Number of slices averaged into one of the second, thick series."""


def write_study(study: PhantomStudy, out: Path, study_uid: str) -> None:
    """Write images, vertebra mask, fracture mask and truth of one study below `out`.

    The folder of images is written atomically, and the truth file last: if it exists, the study is
    complete.

    Raises:
        StorageError: The folder cannot be written.
    """
    numbering = number_files(study.grid.n_slices, study.quirks)
    with _new_folder(out / "train_images" / study_uid) as folder:
        _write_images(study, folder, study_uid, numbering)
    if study.quirks.has_mask:
        write_mask(out / "segmentations" / f"{study_uid}.nii", study.mask, study.grid)
    # NIfTI has one distance of slices; lines in an uneven series would be misplaced.
    if study.fractures and not study.grid.heights_mm:
        write_mask(out / "fracture_masks" / f"{study_uid}.nii.gz", study.clefts, study.grid)
    atomic_files.write_json(
        out / "phantom_truth" / f"{study_uid}.json", study_truth(study, numbering)
    )


def study_truth(study: PhantomStudy, numbering: Numbering | None = None) -> dict[str, Any]:
    """Return the truth: labels, boxes by file number, the kind of each fracture, the quirks."""
    numbers = (numbering or number_files(study.grid.n_slices, study.quirks)).of_slice
    visible = {
        v.vertebra: {
            "stratum": v.stratum,
            "cnr": round(v.cnr, 2),
            "gap_px": round(v.gap_px, 2),
            "slices": v.slices,
        }
        for v in study.visibility
    }
    return {
        "labels": list(study.labels),
        "fractures": [
            {
                "vertebra": f.vertebra,
                "kind": f.kind,
                "gap_mm": [round(b.gap_mm, 2) for b in f.breaks],
                "displacement_mm": round(f.displacement_mm, 2),
            }
            | visible.get(f.vertebra, {})
            for f in study.fractures
        ],
        "boxes": [[numbers[i], *xyxy] for i, xyxy in study.boxes() if i in numbers],
        "n_slices": len(numbers),
        "quirks": list(study.quirks.flags),
        "has_mask": study.quirks.has_mask,
        "scanner": {
            "kernel": study.scanner.kernel.name,
            "noise_hu": round(study.scanner.kernel.noise_hu, 1),
            "motion": study.scanner.motion,
        },
    }


def write_mask(path: Path, mask: NDArray[np.uint8], grid: Grid) -> None:
    """Write uint8 (z, y, x) labels as a sagittally stored NIfTI, as RSNA's are.

    The array axes become (anterior, superior, left-to-right); the affine maps to RAS mm.
    """
    stored = np.ascontiguousarray(mask.transpose(1, 0, 2)[::-1, ::-1, :])
    n, rows = mask.shape[:2]
    flips = np.array([[0, -1, 0, n - 1], [-1, 0, 0, rows - 1], [0, 0, 1, 0], [0, 0, 0, 1]])
    affine = np.diag([-1, -1, 1, 1]) @ grid.affine() @ flips
    suffix = ".nii.gz" if path.name.endswith(".gz") else ".nii"
    with atomic_files.atomic_path(
        path.with_name(path.name.removesuffix(suffix) + suffix)
    ) as temporary:
        named = temporary.with_name(temporary.name + suffix)
        nib.save(nib.Nifti1Image(stored, affine), named)
        named.replace(temporary)


def _write_images(study: PhantomStudy, folder: Path, uid: str, numbering: Numbering) -> None:
    quirks, grid = study.quirks, study.grid
    writer = SliceWriter(
        grid,
        study_uid=uid,
        series_uid=derived_uid(uid, "series"),
        frame_uid=derived_uid(uid, "frame"),
        kernel=study.scanner.kernel.name,
        compressed="compressed" in quirks,
    )
    for number, i in numbering.files:
        writer.write(folder, number, derived_uid(uid, "slice", number), study.hu[i], i)
    if "mixed_series" in quirks:
        _write_others(study, writer, folder, uid, max(number for number, _ in numbering.files))
    if "unreadable_file" in quirks:
        # The last number, so that the numbering of the others has no hole.
        path = folder / f"{max(number for number, _ in numbering.files)}.dcm"
        content = path.read_bytes()
        path.write_bytes(content[: int(CUT_SHARE * len(content))])


def _write_others(
    study: PhantomStudy, writer: SliceWriter, folder: Path, uid: str, last: int
) -> None:
    """Write a localizer, and the volume again in slices five times as thick."""
    number = last + 1
    scout = study.hu.mean(axis=1).clip(-1024, 3071).astype(np.int16)
    writer.write_localizer(
        folder, number, derived_uid(uid, "slice", number), derived_uid(uid, "scout"), scout
    )
    thick = writer.for_series(derived_uid(uid, "thick"), 2, THICK_FACTOR * study.grid.slice_mm)
    for i in range(0, study.grid.n_slices - THICK_FACTOR + 1, THICK_FACTOR):
        number += 1
        mean = np.rint(study.hu[i : i + THICK_FACTOR].mean(axis=0)).astype(np.int16)
        middle = i + THICK_FACTOR // 2
        thick.write(folder, number, derived_uid(uid, "slice", number), mean, middle)


@contextlib.contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """Yield a hidden folder next to `target` that replaces it at the end."""
    hidden = target.with_name(f".{target.name}.partial")
    try:
        shutil.rmtree(hidden, ignore_errors=True)
        hidden.mkdir(parents=True)
        yield hidden
        shutil.rmtree(target, ignore_errors=True)
        atomic_files.move_into_place(hidden, target)
    except OSError as error:
        raise StorageError(
            f"Cannot write {target}: {error.strerror or 'the write failed'}; free some space or "
            "choose a folder you can write to."
        ) from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
