"""Masks with every pair of forms, scaling and packing, in and beside their scan.

The oracle is the labels that the mask was made from and the place it was given.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from core.dataset.masks import MIN_SHARE_IN_SCAN, MIN_SHARE_ON_BONE, load_vertebra_mask
from core.errors import DataRootError
from tests.robustness.families.masks import SHAPE, TO_RAS, volume
from tests.robustness.verdicts import SEED, Family, Verdict, judged

SCAN_CODES: Final = (1, 2)
TEMPLATE_CODES: Final = (3, 4)


def _shifted(affine: NDArray[np.float64], slices: int) -> NDArray[np.float64]:
    moved = affine.copy()
    moved[:3, 3] = (affine @ (slices, 0, 0, 1))[:3]
    return moved


def _forms(
    rng: np.random.Generator, right: NDArray[np.float64], wrong: NDArray[np.float64]
) -> tuple[dict[str, tuple[NDArray[np.float64], int]], str]:
    """Return sform and qform with their codes, and what must come of them."""
    scan, template = int(rng.choice(SCAN_CODES)), int(rng.choice(TEMPLATE_CODES))
    first, second = rng.permutation(["sform", "qform"]).tolist()
    kind = int(rng.integers(0, 5))
    if kind == 0:
        return {first: (right, scan), second: (wrong, 0)}, "right"
    if kind == 1:
        return {first: (right, scan), second: (wrong, template)}, "right"
    if kind == 2:
        return {first: (right, scan), second: (right, int(rng.choice(SCAN_CODES)))}, "right"
    if kind == 3:
        return {first: (right, scan), second: (wrong, scan)}, "refused"
    return {first: (right, 0), second: (wrong, 0)}, "refused"


def play(number: int, place: Path) -> Verdict:
    rng = np.random.default_rng([SEED, 11, number])
    return judged(f"case {number}", lambda: _judge(rng, place))


def _judge(rng: np.random.Generator, place: Path) -> Verdict:
    scan = volume()
    slices = int(rng.integers(0, SHAPE[0] + 2)) if rng.random() < 0.4 else 0
    on_bone = rng.random() < 0.8
    labels = rng.integers(1, 8, SHAPE).astype(np.uint8)
    scan = scan if on_bone else _soft(scan)
    right = _shifted(TO_RAS @ scan.affine, slices)
    forms, due = _forms(rng, right, np.eye(4))
    inside = max(SHAPE[0] - slices, 0) / SHAPE[0]
    if inside < MIN_SHARE_IN_SCAN or not on_bone:
        due = "refused"
    path = place / str(rng.choice(["m.nii", "m.nii.gz"]))
    content = _content(rng, labels, forms)
    path.write_bytes(gzip.compress(content) if rng.random() < 0.5 else content)
    try:
        mask = load_vertebra_mask(path, scan)
    except DataRootError:
        if due == "right":
            return Verdict("silent", "a sound mask was refused")
        raise
    if due == "refused":
        return Verdict("silent", "a mask that lies elsewhere was taken")
    expected = np.zeros_like(labels)
    expected[slices:] = labels[: SHAPE[0] - slices]
    return Verdict("read" if np.array_equal(mask, expected) else "silent", "labels")


def _soft(scan: Any) -> Any:
    """The same scan with less bone than a mask must lie on."""
    from dataclasses import replace

    hu = np.full(SHAPE, 40, np.int16)
    few = round(MIN_SHARE_ON_BONE * hu.size) // 2
    hu.ravel()[:few] = 400
    return replace(scan, hu=hu)


def _content(rng: np.random.Generator, labels: NDArray[np.uint8], forms: dict[str, Any]) -> bytes:
    """A NIfTI file that stores the labels whole, scaled or as numbers with an error."""
    kind = nib.Nifti1Image if rng.random() < 0.7 else nib.Nifti2Image
    storage = int(rng.integers(0, 4))
    slope = 1.0
    values: Any = labels
    if storage == 1:
        values = (labels + rng.uniform(-1e-3, 1e-3, labels.shape)).astype(np.float32)
    elif storage == 2:
        slope = 0.999975
    elif storage == 3:
        slope, values = 19 / 255, np.rint(labels * (255 / 19)).astype(np.uint8)
    image = kind(values, None)
    if slope != 1.0:
        image.header.set_slope_inter(slope, 0)
    for name, (affine, code) in forms.items():
        getattr(image, f"set_{name}")(affine, code)
    return image.to_bytes()


FAMILY: Final = Family("places of masks", 200, 8, play)
