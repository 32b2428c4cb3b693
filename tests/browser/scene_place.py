"""A synthetic study whose networks have spoken already, so that its 3D scene needs no torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.cache.keys import fingerprint_folder
from core.constants import BOXES_TYPE, MASK_LABELS, VERTEBRAE
from core.dataset.masks import load_vertebra_mask
from core.dataset.rsna import read_studies
from core.dicom.series import read_series
from core.inference.outputs import write_predictions
from core.models.pairs import choose_pair
from core.phantom.cohort import write_cohort
from core.types import SlicePredictions

SUSPECT = "C5"
SUSPECT_PROB, OTHER_PROB = 0.9, 0.02


def write_scene_place(root: Path, checkpoints: Path) -> dict[str, str]:
    """One study with its mask, and predictions by which C5 alone is suspicious.

    Args:
        root: Written to.
        checkpoints: The bundles that are said to have read it.

    Returns:
        The environment of a server that shows it.
    """
    write_cohort(root / "demo", studies=1, seed=5, jobs=1)
    (record,) = read_studies(root / "demo")
    volume = read_series(record.folder)
    mask = load_vertebra_mask(record.mask_file, volume)
    seen = np.stack([(mask == MASK_LABELS[name]).any(axis=(1, 2)) for name in VERTEBRAE], axis=1)
    probs = np.full(seen.shape, OTHER_PROB, np.float32)
    probs[:, VERTEBRAE.index(SUSPECT)] = SUSPECT_PROB
    # What the page takes by itself.
    pair = choose_pair(checkpoints)
    by_boxes = pair.fracture.config.task == "localization"
    predictions = SlicePredictions(
        study_id=record.study_id,
        z_mm=volume.z_mm,
        vertebra_probs=seen.astype(np.float32),
        fracture_probs=probs,
        fracture_type=BOXES_TYPE if by_boxes else pair.fracture.config.type,
        instance_numbers=volume.instance_numbers,
        models=tuple(bundle.config.name for bundle in pair.bundles),
    )
    folder = f"{fingerprint_folder(record.folder)}-{pair.digest}"
    write_predictions(
        root / "cache" / "predictions" / folder, [predictions], seconds=[1.0], single=True
    )
    return {
        "CSPINE_VAR": str(root),
        "RSNA_CACHE": str(root / "cache"),
        "CHECKPOINTS": str(checkpoints),
    }
