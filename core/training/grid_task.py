"""Training of segmenters: vertebrae on a grid along the spine."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, Self

import numpy as np
from torch import nn

from core.config import RunConfig
from core.errors import TrainingError
from core.models.bundles import read_bundle
from core.models.segmenter import Segmenter, load_segmenter
from core.prepared.grid_dataset import AugmentedGrids, GridBatch, GridDataset
from core.prepared.study_grids import StudyGrid, load_study_grid
from core.training.batches import Batches
from core.training.cohort import TrainingCohort, prepare_studies, split_cohort
from core.training.engine import AddGradients
from core.training.grid_card import grid_card
from core.training.grid_engine import add_grid_gradients, measure_grids
from core.training.runs import RunFolder
from core.training.task import ORDER_STREAM, Measure, TrainingTask
from core.types import Store, StudyRecord

_AUGMENT_STREAM: Final = 1
_log = logging.getLogger("core.training")


class GridTask(TrainingTask[GridDataset, GridBatch]):
    """Segmentation: one grid per study and epoch, from the studies that have a mask."""

    card = staticmethod(grid_card)

    def __init__(self, config: RunConfig, cohort: TrainingCohort[GridDataset]) -> None:
        super().__init__(config, cohort)
        shown = sum(int(np.any(study.labels)) for study in cohort.training.studies)
        _log.info("%d of %d grids show a vertebra.", shown, len(cohort.training))

    @classmethod
    def load(
        cls,
        config: RunConfig,
        records: Sequence[StudyRecord],
        store: Store,
        run: RunFolder,
        *,
        device: str,
    ) -> Self:
        """As `TrainingTask.load`; studies without a mask, most of RSNA's, are left out."""
        del device
        known = [record for record in records if record.mask_file is not None]
        prepare = partial(load_study_grid, preparation=config.preparation, store=store)
        studies = prepare_studies(known, prepare, run)
        dataset = partial(_dataset, config=config)
        return cls(config, split_cohort(records, studies, config, store, dataset))

    def network(self) -> Segmenter:
        """As `TrainingTask.network`."""
        model = Segmenter()
        if self.config.init_from is not None:
            known = load_segmenter(read_bundle(self.config.init_from))
            model.load_state_dict(known.state_dict())
            _log.info("The weights start from %s.", self.config.init_from.name)
        return model

    def training_batches(self, epoch: int) -> Batches[GridBatch]:
        """As `TrainingTask.training_batches`."""
        config, grids = self.config, self.cohort.training
        rng = np.random.default_rng((config.seed, epoch, ORDER_STREAM))
        augment = (config.seed, epoch, _AUGMENT_STREAM) if config.augment else None
        order = rng.permutation(len(grids)).astype(np.int64)
        return Batches(AugmentedGrids(grids, augment), order, config.batch_size, drop_last=True)

    def validation_batches(self, held_out: GridDataset) -> Batches[GridBatch]:
        """As `TrainingTask.validation_batches`."""
        order = np.arange(len(held_out), dtype=np.int64)
        return Batches(AugmentedGrids(held_out), order, self.config.batch_size)

    @property
    def add_gradients(self) -> AddGradients[GridBatch]:
        """As `TrainingTask.add_gradients`."""
        return add_grid_gradients

    @property
    def measure(self) -> Measure[GridBatch]:
        """As `TrainingTask.measure`."""
        voxel_mm3 = (self.config.preparation.voxel_mm or 0.0) ** 3
        return partial(measure_grids, voxel_mm3=voxel_mm3)

    def bundle_fields(self) -> dict[str, Any]:
        """As `TrainingTask.bundle_fields`."""
        return {
            "name": f"segmentation_{self.config.backbone}",
            "preparation": self.config.preparation,
        }

    def finish(self, model: nn.Module) -> dict[str, Any]:
        """Nothing is left to do, and nothing to add."""
        del model
        return {}


def _dataset(studies: Sequence[StudyGrid], role: str, *, config: RunConfig) -> GridDataset:
    if not studies:
        raise TrainingError(
            f"{config.data_root} has no mask for {role}; add segmentations/<StudyInstanceUID>.nii, "
            "or choose another fold."
        )
    return GridDataset(studies)
