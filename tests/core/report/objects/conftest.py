"""Series in several geometries with labelled vertebrae, and findings on them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from core.dicom.box_mapping import PlaneBoxes
from core.dicom.series import read_series
from core.models.bundles import BundleConfig, BundleInfo
from core.models.pairs import BundlePair
from core.report.objects.findings import Findings, LeveledBoxes
from core.report.study import build_report
from core.types import CTVolume, SlicePredictions
from tests.core.dicom.dicom_factory import made_hu, write_ct_series

SHAPE = (14, 24, 20)
_TURN = np.deg2rad(7.0)
OBLIQUE = (1.0, 0.0, 0.0, 0.0, float(np.cos(_TURN)), float(np.sin(_TURN)))
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
GEOMETRIES = {
    "plain": {},
    "anisotropic": {"spacing_mm": (3.1, 0.31, 0.77)},
    "oblique": {"orientation": OBLIQUE},
    "turned": {"orientation": (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0)},
    "sagittal": {"orientation": SAGITTAL},
    "reversed names": {"names": [f"{k:03d}.dcm" for k in range(SHAPE[0], 0, -1)]},
    "uneven": {"z_mm": [100 - 2.0 * k - 0.9 * (k > 5) - 0.37 * (k > 9) for k in range(SHAPE[0])]},
    "tilted": {"edit": lambda ds, k: _tilt(ds, k)},
}
"""How `write_ct_series` writes a series, by name."""


def _tilt(ds, k):
    """Shift slices within their planes, as a tilted gantry does: row direction kept."""
    ds.ImageOrientationPatient = list(OBLIQUE)
    ds.ImagePositionPatient = [-50.0, -40.0, 100.0 - 2.0 * k]
    ds.GantryDetectorTilt = 7.0


@dataclass(frozen=True)
class Made:
    folder: Path
    volume: CTVolume


@pytest.fixture
def write_series(tmp_path):
    """Writes a series of a geometry and reads it."""

    def write(name="plain", **options):
        folder = tmp_path / f"series-{name.replace(' ', '-')}"
        write_ct_series(folder, made_hu(*SHAPE), **(GEOMETRIES[name] | options))
        return Made(folder, read_series(folder))

    return write


def made_labels(volume):
    """Blocks of C1..C3 and T1 with a gap of slices between them, away from the border."""
    labels = np.zeros(volume.hu.shape, np.uint8)
    n, rows, columns = volume.hu.shape
    ends = np.linspace(1, n - 1, 5).astype(int)
    for label, (first, last) in zip((1, 2, 3, 8), itertools.pairwise(ends), strict=True):
        labels[
            first : max(last - 1, first + 1), 3 : rows - 4 - label, 2 + label // 2 : columns - 3
        ] = label
    labels[1, 4, 4] = 0
    return labels


def bundle(task, type=1):
    return BundleInfo(
        folder=None,
        config=BundleConfig(
            name=f"{task}_made", task=task, type=type, backbone="googlenet", size=64, crop=1.0,
            window_center=400, window_width=1800, weights_sha256="ab" * 32, parameters=1,
            trained_on={}, created="2026-01-02T00:00:00Z",
        ),
    )  # fmt: skip


def made_predictions(volume):
    """Probabilities of six vertebrae."""
    n = volume.n_slices
    presence, fracture = np.zeros((n, 7), np.float32), np.zeros((n, 7), np.float32)
    for j in range(6):
        presence[2 * j % n, j] = 1.0
    fracture[2, 1], fracture[8 % n, 4] = 0.875, 0.25
    return SlicePredictions(volume.study_uid, volume.z_mm, presence, fracture, 2)


def made_findings(volume, *, boxes=True):
    """Two boxes of C2 and one of an unknown vertebra, and probabilities of six vertebrae."""
    predictions = made_predictions(volume)
    pair = BundlePair(bundle("vertebra"), bundle("fracture", 2))
    report = build_report(volume, predictions, pair, synthetic=True, explain=False)
    found = PlaneBoxes(
        np.array([3, 4, 6]),
        np.array([[2.25, 3.5, 9.75, 11.0], [3.0, 3.5, 10.0, 12.5], [5.0, 6.0, 8.0, 9.5]]),
        np.array([0.9, 0.75, 0.5]),
    )
    if not boxes:
        found = PlaneBoxes(np.empty(0, np.int64), np.empty((0, 4)), np.empty(0))
    return Findings(report, LeveledBoxes(found, ("C2", "C2", "")[: len(found)]))
