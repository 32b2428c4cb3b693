"""A small place for the dashboard to work in: two made studies and two networks that guess."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.constants import SYNTHETIC_WARNING, VERTEBRAE
from core.dicom.series import read_series
from core.system import atomic_files
from tests.core.dicom.dicom_factory import write_ct_series

FRACTURED = "1.2.826.0.1.1"
SOUND = "1.2.826.0.1.2"
N_SLICES = 12


@dataclass(frozen=True)
class Workplace:
    """Where the parts lie."""

    root: Path

    @property
    def var(self) -> Path:
        return self.root / "var"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "CSPINE_VAR": str(self.var),
            "RSNA_CACHE": str(self.var / "cache"),
            "CHECKPOINTS": str(self.checkpoints),
            # Tests make folders of their own beside the workplace.
            "BROWSE_ROOTS": str(self.root.parent),
        }


def write_cohort(root: Path) -> None:
    """Two studies of noise around a bright disc, in RSNA's layout, marked as generated."""
    atomic_files.write_json(
        root / "phantom.json", {"synthetic": True, "warning": SYNTHETIC_WARNING}
    )
    for seed, uid in enumerate((FRACTURED, SOUND)):
        write_ct_series(
            root / "train_images" / uid,
            made_neck(seed),
            spacing_mm=(3.0, 0.8, 0.8),
            study_uid=uid,
            intercept=-1024.0,
        )
    header = "StudyInstanceUID,patient_overall," + ",".join(VERTEBRAE)
    atomic_files.write_text(
        root / "train.csv", f"{header}\n{FRACTURED},1,0,0,0,0,1,0,0\n{SOUND},0,0,0,0,0,0,0,0\n"
    )
    write_box(root)


def write_box(root: Path) -> None:
    """One box on the fifth slice of the fractured study."""
    series = read_series(root / "train_images" / FRACTURED)
    number = series.source_files[4].stem
    header = "StudyInstanceUID,x,y,width,height,slice_number"
    atomic_files.write_text(
        root / "train_bounding_boxes.csv", f"{header}\n{FRACTURED},10,12,20,28,{number}\n"
    )


def made_neck(seed: int) -> np.ndarray:
    """int16 HU (12, 64, 64): air, a disc of soft tissue, a ring of bone, noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-32:32, -32:32]
    radius = np.hypot(y, x)
    hu = np.where(radius < 26, 40, -1000) + np.where((radius > 6) & (radius < 10), 700, 0)
    return (hu + rng.normal(0, 20, (N_SLICES, 64, 64))).astype(np.int16)


def write_bundles(checkpoints: Path) -> None:
    """A vertebra and a fracture bundle of random weights, with figures and operating points."""
    import torch

    from core.models.bundles import BundleConfig
    from core.models.checkpoint import save_bundle
    from core.models.registry import build_model

    torch.manual_seed(0)
    for task, figure in (("vertebra", "presence AUC"), ("fracture", "slice AUC")):
        config = BundleConfig(
            name=f"{task}-made",
            task=task,
            type=1,
            backbone="mobilenet_v3_large",
            size=32,
            crop=1.0,
            window_center=400,
            window_width=1800,
            weights_sha256="0" * 64,
            parameters=1,
            trained_on={"synthetic": True},
            created="2026-01-01T00:00:00Z",
        )
        folder = checkpoints / config.name
        save_bundle(folder, build_model(task, 1, config.backbone), config)
        headline = {"name": figure, "value": 0.871, "low": 0.8, "high": 0.93, "n_patients": 30}
        atomic_files.write_json(folder / "metrics.json", {"headline": headline})
    atomic_files.write_json(
        checkpoints / "fracture-made" / "operating_points.json",
        {
            "patient": {"threshold": 0.6, "rule": "highest F1"},
            "vertebra": {"threshold": 0.3, "rule": "highest F1"},
        },
    )
