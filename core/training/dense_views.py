"""The training cohort of the dense networks, as the frozen trunk sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.config import RunConfig
from core.constants import N_VERTEBRAE
from core.dataset.splits import assign_folds
from core.models.bundles import BundleInfo
from core.models.checkpoint import start_from_bundle
from core.models.dense import DenseModel
from core.models.registry import build_model
from core.prepared.box_dataset import BoxDataset
from core.prepared.box_slices import BoxSlices, load_box_slices
from core.types import Progress, Store, StudyRecord

BATCH: Final = 32
"""Slices in one pass or step."""


@dataclass(frozen=True, slots=True, eq=False)
class TrunkViews:
    """What the trunk gives of n augmented slices, with their truth.

    Attributes:
        maps: By the trunk's keys, float16 (n, ...).
        boxes: One float32 (k, 4) per view, xyxy as fractions of the sides.
        presence: float32 (n, 7), v_ij.
        fractured: float32 (n, 7), y_ij, of slices with a box.
        fold: int64 (n,), fold of the view's study.
        positive: bool (n,), whether the slice has a box.
    """

    maps: dict[str, Tensor]
    boxes: tuple[Tensor, ...]
    presence: Tensor
    fractured: Tensor
    fold: NDArray[np.int64]
    positive: NDArray[np.bool_]

    def trunk(self, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        """The trunk's maps of some views, float32."""
        return {key: maps[rows].float() for key, maps in self.maps.items()}


@dataclass(frozen=True, slots=True, eq=False)
class CohortTruth:
    """Truth of every slice of the training cohort, whose rates the balanced draw changes.

    Attributes:
        data: The slices.
        presence: float32 (n, 7), v_ij.
        fractured: float32 (n, 7), y_ij, of slices with a box.
        fold: int64 (n,), fold of the slice's study.
    """

    data: BoxDataset
    presence: NDArray[np.float32]
    fractured: NDArray[np.float32]
    fold: NDArray[np.int64]

    @property
    def study_folds(self) -> NDArray[np.int64]:
        """The fold of each study, int64 (studies,)."""
        starts = np.cumsum([0, *(study.n_slices for study in self.data.studies)])[:-1]
        return self.fold[starts]


def cohort_truth(
    records: Sequence[StudyRecord], config: RunConfig, store: Store, progress: Progress | None
) -> CohortTruth:
    """Prepare the studies of a cohort with their boxes.

    Raises:
        CSpineError: A study cannot be prepared.
    """
    studies: list[BoxSlices] = []
    for number, record in enumerate(records):
        studies.append(load_box_slices(record, config.preparation, store=store))
        if progress is not None:
            progress(number + 1, len(records))
    data = BoxDataset(studies, neighbours=config.preparation.channels == "neighbours")
    by_id = {record.study_id: record for record in records}
    folds = assign_folds(records, config.folds, config.seed)
    presence = [_presence(study) for study in data.studies]
    fractured = [
        v * np.array(by_id[study.study_id].fractured, np.float32)
        for study, v in zip(data.studies, presence, strict=True)
    ]
    of_study = [np.full(study.n_slices, folds[study.study_id]) for study in data.studies]
    return CohortTruth(
        data,
        np.concatenate(presence),
        np.concatenate(fractured) * data.boxed[:, np.newaxis].astype(np.float32),
        np.concatenate(of_study).astype(np.int64),
    )


@torch.inference_mode()
def trunk_views(
    truth: CohortTruth, config: RunConfig, localizer: BundleInfo, progress: Progress | None
) -> TrunkViews:
    """Run the trunk over `config.epochs` augmented views of each boxed slice, and as many others.

    The others are drawn without replacement among the slices without a box, except those beside a
    boxed one, which show the line's end.

    Args:
        truth: The slices.
        config: Config of a dense network.
        localizer: Bundle of the trunk.
        progress: Called with (views done, total views).
    """
    model = fresh_dense(config, localizer)
    model.eval().to(memory_format=torch.channels_last)
    data = truth.data
    boxed = np.flatnonzero(data.boxed)
    free = np.random.default_rng(config.seed).permutation(np.flatnonzero(~data.boxed & data.usable))
    rounds = [
        np.concatenate([boxed, free[k * len(boxed) : (k + 1) * len(boxed)]])
        for k in range(config.epochs)
    ]
    found: dict[str, list[Tensor]] = {}
    boxes: list[Tensor] = []
    total = sum(map(len, rounds))
    for number, rows in enumerate(rounds):
        for start in range(0, len(rows), BATCH):
            batch = data.batch(rows[start : start + BATCH], (config.seed, number))
            for key, maps in model.backbone(model.image_input(batch.images)).items():
                found.setdefault(key, []).append(maps.half().contiguous())
            boxes += [box / config.preparation.size for box in batch.boxes]
            if progress is not None:
                progress(len(boxes), total)
    rows = np.concatenate(rounds)
    return TrunkViews(
        {key: torch.cat(parts) for key, parts in found.items()},
        tuple(boxes),
        torch.from_numpy(truth.presence[rows]),
        torch.from_numpy(truth.fractured[rows]),
        truth.fold[rows],
        data.boxed[rows],
    )


def fresh_dense(config: RunConfig, localizer: BundleInfo) -> DenseModel:
    """A dense network of a config on the localiser's trunk, which is frozen."""
    model = build_model(config.task, config.type, config.backbone, head=config.head)
    if not isinstance(model, DenseModel):
        raise TypeError(f"A dense network is needed, not {type(model).__name__}.")
    start_from_bundle(model, localizer)
    model.freeze_backbone()
    return model


def _presence(study: BoxSlices) -> NDArray[np.float32]:
    if study.presence is None:
        return np.zeros((study.n_slices, N_VERTEBRAE), np.float32)
    return study.presence.astype(np.float32)
