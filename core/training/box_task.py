"""Training of localisers: boxes around fractures on squares that follow the spine."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, Self, cast

import numpy as np
from numpy.typing import NDArray
from torch import nn

from core.config import RunConfig, SlicePreparation
from core.errors import TrainingError
from core.models.anchors import Anchors, fit_anchors
from core.models.bundles import read_bundle
from core.models.localizer import Localizer
from core.models.localizer_bundle import start_localizer
from core.models.pyramid import pyramid_spec
from core.prepared.box_dataset import AugmentedBoxes, BoxBatch, BoxDataset
from core.prepared.box_slices import BoxSlices, load_box_slices
from core.training.batches import Batches
from core.training.box_card import box_card
from core.training.box_engine import add_box_gradients, measure_boxes
from core.training.cohort import TrainingCohort, prepare_studies, split_cohort
from core.training.engine import AddGradients
from core.training.runs import RunFolder
from core.training.task import ORDER_STREAM, Measure, TrainingTask
from core.types import Store, StudyRecord

FIELD_MM: Final = 88.0
"""Default side of the square: it contains every box of the synthetic cohort."""
_AUGMENT_STREAM: Final = 1
_VALIDATION_STREAM: Final = 2
_log = logging.getLogger("core.training")


class BoxTask(TrainingTask[BoxDataset, BoxBatch]):
    """Localisation.

    The anchors are fitted to the boxes of the training folds, unless the run starts from another
    localiser (`init_from`): it keeps that one's anchors, for which its heads were trained.
    """

    card = staticmethod(box_card)

    def __init__(self, config: RunConfig, cohort: TrainingCohort[BoxDataset]) -> None:
        super().__init__(config, cohort)
        self.anchors = _known_anchors(config) or fit_anchors(
            cohort.training.sides,
            levels=pyramid_spec(config.backbone).levels,
            per_level=config.anchors_per_level,
            seed=config.seed,
        )
        _log.info("Anchors (width, height) in pixels by level: %s.", self.anchors)

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
        """As `TrainingTask.load`.

        A fractured study without boxes, as 726 of RSNA's 961, is left out without a warning: the
        location of its fracture is not annotated.
        """
        del device
        known = [r for r in records if r.boxes or r.patient_fractured is False]
        prepare = partial(load_box_slices, preparation=localizer_preparation(config), store=store)
        studies = prepare_studies(known, prepare, run)
        dataset = partial(_dataset, config=config)
        return cls(config, split_cohort(records, studies, config, store, dataset))

    def network(self) -> Localizer:
        """As `TrainingTask.network`."""
        config = self.config
        model = Localizer(
            config.backbone,
            self.anchors,
            size=config.preparation.size,
            pretrained=config.pretrained,
        )
        if config.init_from is not None:
            taken = start_localizer(model, read_bundle(config.init_from))
            _log.info("%d tensors start from %s.", taken, config.init_from.name)
        return model

    def compiled_part(self, network: nn.Module) -> nn.Module:
        """Backbone and pyramid: the rest of Faster R-CNN has another shape for every batch."""
        return cast(Localizer, network).detector.backbone

    def training_batches(self, epoch: int) -> Batches[BoxBatch]:
        """As `TrainingTask.training_batches`."""
        config, slices = self.config, self.cohort.training
        order = slices.training_order(
            seed=(config.seed, epoch, ORDER_STREAM), negatives=config.negatives
        )
        augment = (config.seed, epoch, _AUGMENT_STREAM) if config.augment else None
        return self._batches(
            AugmentedBoxes(slices, augment, deferred=self.augments_on_device), order, drop_last=True
        )

    def validation_batches(self, held_out: BoxDataset) -> Batches[BoxBatch]:
        """As `TrainingTask.validation_batches`."""
        order = held_out.evaluation_order(
            seed=(self.config.seed, 0, _VALIDATION_STREAM), negatives=self.config.negatives
        )
        return self._batches(AugmentedBoxes(held_out), order)

    def _batches(
        self, slices: AugmentedBoxes, order: NDArray[np.int64], *, drop_last: bool = False
    ) -> Batches[BoxBatch]:
        return Batches(slices, order, self.config.batch_size, drop_last=drop_last)

    @property
    def add_gradients(self) -> AddGradients[BoxBatch]:
        """As `TrainingTask.add_gradients`."""
        return add_box_gradients

    @property
    def measure(self) -> Measure[BoxBatch]:
        """As `TrainingTask.measure`."""
        return measure_boxes

    def bundle_fields(self) -> dict[str, Any]:
        """As `TrainingTask.bundle_fields`."""
        return {
            "name": f"localization_{self.config.backbone}",
            "preparation": localizer_preparation(self.config),
            "anchors": self.anchors,
        }

    def finish(self, model: nn.Module) -> dict[str, Any]:
        """Number of training boxes, and the training data of the previous localisers."""
        del model
        return {
            "boxes": len(self.cohort.training.sides),
            "earlier_stages": _earlier_stages(self.config),
        }


def _known_anchors(config: RunConfig) -> Anchors | None:
    """Anchors of the localiser that a run starts from; None if it starts from none."""
    if config.init_from is None:
        return None
    return read_bundle(config.init_from).config.anchors


def _earlier_stages(config: RunConfig) -> list[dict[str, Any]]:
    """Training data of the localisers that a run continues, the earliest first."""
    if config.init_from is None:
        return []
    first = read_bundle(config.init_from).config
    known = first.trained_on
    stages = list(known.get("earlier_stages", []))
    if first.gives_boxes:
        data = {name: known.get(name) for name in ("studies", "boxes", "study_ids_sha256")}
        stages.append(data | {"epochs": known.get("run", {}).get("epochs")})
    return stages


def localizer_preparation(config: RunConfig) -> SlicePreparation:
    """Preparation of a localiser's slices: always a square along the spine, no noise reduction."""
    asked = config.preparation
    return asked.model_copy(
        update={"crop": 1.0, "field_mm": asked.field_mm or FIELD_MM, "noise_reduction": "none"}
    )


def _dataset(studies: Sequence[BoxSlices], role: str, *, config: RunConfig) -> BoxDataset:
    dataset = BoxDataset(studies, neighbours=config.preparation.channels == "neighbours")
    if not dataset.boxed.any():
        raise TrainingError(
            f"{config.data_root} has no box for {role}; add train_bounding_boxes.csv, or choose "
            "another fold."
        )
    return dataset
