"""The one-cycle learning rate and a run's length, computed without a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.config import RunConfig

START_DIVISOR: Final = 25.0
END_DIVISOR: Final = 1e4
"""torch's OneCycleLR begins at the peak / 25 and ends at the initial rate / 1e4."""

COST_GMAC: Final[dict[str, float]] = {
    "alexnet": 0.71, "vgg16_bn": 15.5, "resnet50": 4.1, "resnext50_32x4d": 4.2, "googlenet": 1.5,
    "inception_v3": 3.0, "densenet121": 2.8, "efficientnet_v2_s": 2.9, "mobilenet_v3_large": 0.22,
    "convnext_small": 8.7, "mnasnet1_3": 0.53, "shufflenet_v2_x2_0": 0.58, "swin_s": 8.7,
    "regnet_y_8gf": 8.5, "unet3d": 160.0,
}  # fmt: skip
"""Multiply-adds of one forward pass in 1e9: over a 224 × 224 image, as torchvision lists them, and
of the segmenter over 100 planes of 224 × 224 voxels."""

MEASURED: Final = "from the pace of this network at this size here"
"""Basis of an estimate from the same network, size and precision."""

FORWARD_SPEED: Final = 3.0
"""Images measured in the time in which one is trained: the backward pass costs two forward ones."""

OVERHEAD_GMAC: Final = 1.5
"""Cost of memory traffic, which limits light networks more than arithmetic."""


def one_cycle(max_lr: float, total_steps: int, pct_start: float) -> NDArray[np.float64]:
    """Return the learning rate of each step: a cosine up to the peak, then a cosine down.

    After Smith & Topin 2018 ("Super-convergence"), as torch.optim.lr_scheduler.OneCycleLR does it.

    Args:
        max_lr: The peak.
        total_steps: Steps of the run, >= 1; fewer than 4 take the first of a cycle of 4.
        pct_start: Share of the steps spent on rising, in (0, 1).

    Returns:
        float64 (total_steps,).
    """
    steps = scheduled_steps(total_steps)
    rise = rising_share(total_steps, pct_start) * steps - 1
    start = max_lr / START_DIVISOR
    end = start / END_DIVISOR
    k = np.arange(total_steps, dtype=np.float64)
    up = _cosine(start, max_lr, k / rise)
    down = _cosine(max_lr, end, (k - rise) / (steps - 1 - rise))
    return np.where(k <= rise, up, down)


def scheduled_steps(total_steps: int) -> int:
    """Length of the cycle, in which each phase needs at least one step."""
    return max(total_steps, 4)


def rising_share(total_steps: int, pct_start: float) -> float:
    """`pct_start`, limited so that both phases have at least one step."""
    steps = scheduled_steps(total_steps)
    return min(max(pct_start, 2 / steps), 1 - 1 / steps)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Estimated duration of a run.

    Attributes:
        steps: Batches of all epochs (of one fold).
        seconds: Training time of all folds without measuring; None if it is unknown.
        basis: Basis of the estimate, as a clause for the user.
        loader_share: Share of the time spent waiting for the loader; None unless this network was
            timed at this size and precision.
        measuring_seconds: Time of measuring on the held-out slices of all folds; None if unknown.
    """

    steps: int
    seconds: float | None
    basis: str
    loader_share: float | None = None
    measuring_seconds: float | None = None

    @property
    def total_seconds(self) -> float | None:
        """Time of training and measuring; None if it is unknown."""
        return None if self.seconds is None else self.seconds + (self.measuring_seconds or 0.0)

    @property
    def is_measured(self) -> bool:
        """Whether this network was timed at this size and precision."""
        return self.loader_share is not None


@dataclass(frozen=True, slots=True)
class Pace:
    """Training speed of a network.

    Attributes:
        backbone: Name of the backbone.
        size: Side of the input in pixels.
        precision: Number format.
        images_per_second: Images trained per second, loading included.
        loader_share: Share of the time spent waiting for the loader; 0 in files of older versions,
            which did not measure it.
    """

    backbone: str
    size: int
    precision: str
    images_per_second: float
    loader_share: float = 0.0


def estimate_run(config: RunConfig, slices: int, studies: int, paces: Sequence[Pace]) -> Estimate:
    """Estimate a run's steps and time; a segmenter trains on whole studies instead of slices.

    Args:
        config: Config of the run.
        slices: Number of labelled slices of the whole data set.
        studies: Number of their studies.
        paces: Speeds of earlier runs on this machine, the most recent first.
    """
    if config.facts.gives == "labels":
        slices = studies
    per_epoch = (
        min(slices, config.slices_per_study * studies) if config.slices_per_study else slices
    )
    held_out = 0 if config.fold is None else round(per_epoch / config.folds)
    per_epoch -= held_out
    steps = config.epochs * max(per_epoch // config.batch_size, min(per_epoch, 1))
    runs = config.folds if config.fold == "all" else 1
    pace, basis = _expected_pace(config, paces)
    if pace is None:
        return Estimate(steps, None, basis)
    seconds = runs * steps * config.batch_size / pace.images_per_second
    measuring = runs * config.epochs * held_out / (pace.images_per_second * FORWARD_SPEED)
    share = pace.loader_share if basis == MEASURED else None
    return Estimate(steps, seconds, basis, share, measuring)


def _expected_pace(config: RunConfig, paces: Sequence[Pace]) -> tuple[Pace | None, str]:
    for pace in paces:
        same = (pace.backbone, pace.size) == (config.backbone, config.preparation.size)
        # What "auto" becomes on this machine is known where torch is, and was when it was measured.
        if same and config.precision in ("auto", pace.precision):
            return pace, MEASURED
    if not paces:
        return None, "unknown until the pace of a network has been measured on this machine"
    pace = paces[0]
    ratio = _cost(pace.backbone, pace.size) / _cost(config.backbone, config.preparation.size)
    basis = f"roughly, from the pace of {pace.backbone} at {pace.size} px"
    return replace(pace, images_per_second=pace.images_per_second * ratio), basis


def _cost(backbone: str, size: int) -> float:
    return (COST_GMAC[backbone] + OVERHEAD_GMAC) * (size / 224) ** 2


def _cosine(start: float, end: float, share: NDArray[np.float64]) -> NDArray[np.float64]:
    return end + (start - end) / 2 * (1 + np.cos(math.pi * share))
