"""Presence v_ij of studies without a mask, predicted by a vertebra bundle."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from core.cache.entries import fetch_entry
from core.cache.keys import entry_key
from core.errors import BundleError, DicomSeriesError
from core.models.bundles import read_bundle
from core.models.checkpoint import load_model
from core.prepared.series_digests import study_digests
from core.prepared.slice_dataset import SliceDataset
from core.prepared.slices import StudySlices, load_study_slices
from core.types import Store, StudyRecord

_BATCH_SIZE: Final = 32


def presence_from_bundle(
    records: Iterable[StudyRecord], folder: Path, *, store: Store, device: str = "cpu"
) -> dict[str, NDArray[np.float32]]:
    """Predict v_ij of each study that has no mask.

    The results are stored under the content of the study and of the weights, so that every fold,
    every process and a resumed run get the same numbers and a study is predicted once.

    Args:
        records: The studies; those with a mask, or that cannot be read, are skipped.
        folder: Folder of the vertebra bundle.
        store: Store of prepared slices and presences.
        device: Device of the model.

    Returns:
        float32 (n, 7) in [0, 1] by study id.

    Raises:
        BundleError: The bundle is invalid or is not for vertebrae.
        StorageError: The store cannot be written.
    """
    bundle = read_bundle(folder)
    if bundle.config.task != "vertebra":
        raise BundleError(
            f"Bundle {bundle.config.name} detects {bundle.config.task}, but `vertebra_bundle` must "
            "detect vertebrae; choose another bundle."
        )
    model = functools.cache(lambda: load_model(bundle, device).eval())
    presences: dict[str, NDArray[np.float32]] = {}
    for record in records:
        if record.mask_file is not None:
            continue
        try:
            study = load_study_slices(record, bundle.config.preparation, store=store)
        except DicomSeriesError:
            continue
        key = entry_key(
            {
                "study": study_digests(record, store.folder),
                "bundle": bundle.config.model_dump(
                    mode="json", exclude={"name", "trained_on", "created"}
                ),
            }
        )

        def build(study: StudySlices = study) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
            return {"presence": _run(model(), study, device)}, {}

        entry = fetch_entry(store, "presence", key, build)
        presences[record.study_id] = np.array(entry.arrays["presence"])
    return presences


@torch.inference_mode()
def _run(model: nn.Module, study: StudySlices, device: str) -> NDArray[np.float32]:
    """Presence probabilities of all slices, float32 (n, 7)."""
    unlabelled = replace(study, presence=None, fractured=np.zeros(7, dtype=bool), boxed=None)
    slices = SliceDataset([unlabelled], "fracture")
    probabilities: list[NDArray[np.float32]] = []
    for start in range(0, len(slices), _BATCH_SIZE):
        rows = np.arange(start, min(start + _BATCH_SIZE, len(slices)))
        batch = slices.batch(rows).to(device)
        logits = model(batch.images, batch.metadata)
        probabilities.append(torch.sigmoid(logits.float()).cpu().numpy())
    return np.concatenate(probabilities)
