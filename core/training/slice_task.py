"""Training of slice networks: vertebra presence and fractures on slices."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Self, cast

import numpy as np
import torch
from torch import nn

from core.config import RunConfig, SlicePreparation
from core.errors import TrainingError
from core.models.bundles import read_bundle
from core.models.checkpoint import start_from_bundle
from core.models.registry import build_model
from core.models.slice_model import SliceModel
from core.prepared.box_slices import with_boxes
from core.prepared.slice_dataset import Presences, SliceBatch, SliceDataset
from core.prepared.slices import StudySlices, load_study_slices
from core.preprocessing.augmentation import AugmentationRanges, augmentation_seed
from core.training.batches import Batches
from core.training.cohort import TrainingCohort, prepare_studies, split_cohort
from core.training.engine import AddGradients
from core.training.losses import loss_for
from core.training.presence_labels import presence_from_bundle
from core.training.prior_correction import prior_shifts, shift_logits
from core.training.runs import RunFolder
from core.training.slice_card import slice_card
from core.training.slice_engine import add_slice_gradients, measure_slices
from core.training.task import ORDER_STREAM, Measure, TrainingTask
from core.types import Store, StudyRecord

_log = logging.getLogger("core.training")


class SliceTask(TrainingTask[SliceDataset, SliceBatch]):
    """Vertebra and fracture detection, of every type."""

    card = staticmethod(slice_card)

    def __init__(self, config: RunConfig, cohort: TrainingCohort[SliceDataset]) -> None:
        super().__init__(config, cohort)
        self.criterion = loss_for(config.task, config.type, config.alpha, config.head)

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

        Fracture models are trained on studies without masks, too, if `vertebra_bundle` predicts the
        presence of their vertebrae.
        """
        load = _load_with_boxes if config.head == "dense" else load_study_slices
        prepare = partial(load, preparation=config.preparation, store=store)
        studies = prepare_studies(records, prepare, run)
        presence_of: Presences = {}
        if config.vertebra_bundle is not None and config.task == "fracture":
            presence_of = presence_from_bundle(
                _reported([record for record in records if _needs_presence(record, config)], run),
                config.vertebra_bundle,
                store=store,
                device=device,
            )
        dataset = partial(_dataset, presence_of=presence_of, config=config)
        return cls(config, split_cohort(records, studies, config, store, dataset))

    def network(self) -> SliceModel:
        """As `TrainingTask.network`."""
        config = self.config
        model = build_model(
            config.task, config.type, config.backbone,
            head=config.head, size=config.preparation.size, pretrained=config.pretrained,
        )  # fmt: skip
        if config.init_from is not None:
            taken = start_from_bundle(model, read_bundle(config.init_from))
            _log.info("%d of %d tensors start from %s.", *taken, config.init_from.name)
        if config.freeze_backbone:
            model.freeze_backbone()
        return model

    def training_batches(self, epoch: int) -> Batches[SliceBatch]:
        """As `TrainingTask.training_batches`."""
        config, slices = self.config, self.cohort.training
        return Batches(
            slices,
            slices.training_order(
                seed=(config.seed, epoch, ORDER_STREAM),
                slices_per_study=config.slices_per_study,
                balanced=config.balanced,
            ),
            config.batch_size,
            augment_seed=augmentation_seed(config.seed, epoch) if config.augment else None,
            augment_ranges=AugmentationRanges.of(config),
            drop_last=True,
            augment_on_device=self.augments_on_device,
        )

    def validation_batches(self, held_out: SliceDataset) -> Batches[SliceBatch]:
        """As `TrainingTask.validation_batches`."""
        order = held_out.evaluation_order(slices_per_study=self.config.slices_per_study)
        return Batches(held_out, order, self.config.batch_size)

    @property
    def add_gradients(self) -> AddGradients[SliceBatch]:
        """As `TrainingTask.add_gradients`."""
        return partial(add_slice_gradients, criterion=self.criterion)

    @property
    def measure(self) -> Measure[SliceBatch]:
        """As `TrainingTask.measure`."""
        return partial(measure_slices, criterion=self.criterion)

    def bundle_fields(self) -> dict[str, Any]:
        """As `TrainingTask.bundle_fields`."""
        config, vertebra = self.config, self.config.vertebra_bundle
        return {
            "name": f"{config.task}_type{config.type}_{config.backbone}"
            f"{'_dense' if config.head == 'dense' else ''}",
            "preparation": config.preparation,
            "alpha": config.alpha,
            "vertebra_bundle": None if vertebra is None else read_bundle(vertebra).config.name,
        }

    def finish(self, model: nn.Module) -> dict[str, Any]:
        """If classes were balanced, shift the logits to the cohort's own rates."""
        if not self.config.balanced:
            return {}
        slices = self.cohort.training
        truth = self.criterion.targets(
            torch.from_numpy(np.array(slices.presence)),
            torch.from_numpy(np.array(slices.fractured)),
        )
        shifts = prior_shifts(truth.numpy(), slices.positive)
        shift_logits(cast(SliceModel, model).output_layers, shifts)
        return {"prior_shift_logits": [round(float(shift), 6) for shift in shifts]}


def _load_with_boxes(
    record: StudyRecord, preparation: SlicePreparation, *, store: Store
) -> StudySlices:
    """A study's prepared slices with their boxes, which supervise a dense model's maps."""
    study = load_study_slices(record, preparation, store=store)
    return with_boxes(study, record, preparation, store=store)


def _reported(records: Sequence[StudyRecord], run: RunFolder) -> Iterator[StudyRecord]:
    """Yield the records and write the progress to the run's status."""
    for number, record in enumerate(records):
        run.write_status("preparing", message=f"presences, study {number + 1} of {len(records)}")
        yield record


def _needs_presence(record: StudyRecord, config: RunConfig) -> bool:
    """Whether a study can be used only with presence; Type 1 needs none without a fracture."""
    return bool(record.patient_fractured) or (config.type > 1 and record.fractured is not None)


def _dataset(
    studies: Sequence[StudySlices], role: str, *, presence_of: Presences, config: RunConfig
) -> SliceDataset:
    dataset = SliceDataset(
        studies, "vertebra" if config.task == "vertebra" else "fracture",
        presence_of=presence_of, needs_presence=config.type > 1, target=config.fracture_target,
    )  # fmt: skip
    if dataset.skipped:
        _log.warning(
            "%d studies are not used for %s: without a mask or a `vertebra_bundle` their slices "
            "have no truth.",
            len(dataset.skipped),
            role,
        )
    if len(dataset) == 0:
        raise TrainingError(
            f"{config.data_root} has no study whose slices have truth for {role}; add "
            "segmentations, set `vertebra_bundle` for a fracture model, or choose another fold."
        )
    positive = int(dataset.positive.sum())
    if role == "training" and positive in (0, len(dataset)) and config.balanced:
        raise TrainingError(
            f"{config.data_root} has slices of one class only, so they cannot be balanced; "
            "set `balanced: false`, or add studies of the other class."
        )
    _log.info(
        "%s: %d studies, %d slices, %d of them positive.",
        role.capitalize(), len(dataset.study_ids), len(dataset), positive,
    )  # fmt: skip
    return dataset
