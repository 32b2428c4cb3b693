"""Interface of training tasks: what differs between kinds of networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Self

from lightning_fabric import Fabric
from torch import nn

from core.config import RunConfig
from core.models.bundles import BundleInfo
from core.training.batches import Batches, BatchKind
from core.training.cohort import DatasetKind, TrainingCohort
from core.training.engine import AddGradients
from core.training.runs import RunFolder
from core.types import Store, StudyRecord

ORDER_STREAM: int = 0
"""Third part of the seed for the order of an epoch."""


@dataclass(frozen=True, slots=True)
class Measures(ABC):
    """Measures on held-out slices: fields of JSON values, and a clause for the log."""

    @property
    @abstractmethod
    def deficit(self) -> float:
        """What epochs are compared by, and early stopping may watch; lower is better."""

    @property
    @abstractmethod
    def curves(self) -> dict[str, float | None]:
        """Measures drawn by TensorBoard, by name; None if undefined."""


Measure = Callable[[Fabric, nn.Module, Iterable[BatchKind], Callable[[], None]], Measures]
"""Measures a model over all processes' batches, calls the last argument after each batch, and
leaves the model in eval mode."""


class TrainingTask(ABC, Generic[DatasetKind, BatchKind]):
    """The data, network, loss and measures of one run.

    Args:
        config: Config of the run.
        cohort: Training and validation slices.

    Attributes:
        augments_on_device: Whether training slices are augmented on the device of the network, a
            batch at a time, instead of by the loader.
    """

    augments_on_device: bool = False

    def __init__(self, config: RunConfig, cohort: TrainingCohort[DatasetKind]) -> None:
        self.config = config
        self.cohort = cohort

    @classmethod
    @abstractmethod
    def load(
        cls,
        config: RunConfig,
        records: Sequence[StudyRecord],
        store: Store,
        run: RunFolder,
        *,
        device: str,
    ) -> Self:
        """Prepare the studies of the config's data root and split them.

        A study that cannot be read is left out and named in the log.

        Args:
            config: Config of the run; its `fold` is a number or None.
            records: All studies of the data root.
            store: Store of prepared slices.
            run: Run folder, whose status shows the progress.
            device: Device of networks that the preparation needs.

        Raises:
            BundleError: A bundle that the preparation needs cannot be used.
            DataRootError: The data root lacks its tables, or holds fewer studies than folds.
            TrainingError: The studies lack the truth that the task needs.
            StorageError: The slice store cannot be written.
        """

    @abstractmethod
    def network(self) -> nn.Module:
        """The network with its initial weights.

        Raises:
            BundleError: `init_from` cannot be used.
            ConfigError: There is no such network.
        """

    def compiled_part(self, network: nn.Module) -> nn.Module:
        """The part of the network that `torch.compile` takes: all of it, unless said otherwise."""
        return network

    @abstractmethod
    def training_batches(self, epoch: int) -> Batches[BatchKind]:
        """The batches of an epoch, for one process."""

    @abstractmethod
    def validation_batches(self, held_out: DatasetKind) -> Batches[BatchKind]:
        """The batches to measure on, for one process."""

    @property
    @abstractmethod
    def add_gradients(self) -> AddGradients[BatchKind]:
        """The loss of a batch and its gradient."""

    @property
    @abstractmethod
    def measure(self) -> Measure[BatchKind]:
        """The measures on held-out slices."""

    @abstractmethod
    def bundle_fields(self) -> dict[str, Any]:
        """Fields of `BundleConfig` in addition to those of every run's bundle."""

    @staticmethod
    @abstractmethod
    def card(bundle: BundleInfo, metrics: Mapping[str, Any]) -> str:
        """The model card of a shipped bundle as Markdown; every figure comes from `metrics`.

        Args:
            bundle: The bundle.
            metrics: Content of its `metrics.json`.
        """

    @abstractmethod
    def finish(self, model: nn.Module) -> dict[str, Any]:
        """Finish the trained network for its bundle; return further fields of `trained_on`."""
