"""A small 3D U-Net that labels the voxels of a grid along the spine."""

from __future__ import annotations

from functools import partial
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.constants import N_VERTEBRAE
from core.errors import BundleError
from core.models.bundles import BundleInfo
from core.models.checkpoint import with_weights

N_CLASSES: Final = N_VERTEBRAE + 2
"""Background, C1..C7, and any vertebra below."""
FOLD: Final = 2
"""Blocks of so many voxels along each axis become channels, and back: the finest level, which would
take four fifths of the time, has half the resolution."""
WIDTHS: Final = (24, 56, 96)
"""Channels at strides 2, 4 and 8."""
DILATIONS: Final = (1, 2, 4)
"""Along z at stride 8: voxels of 16 mm, so that each sees the neck from end to end."""
NORM_EPSILON: Final = 1e-3
"""Added to a channel's variance, which is nearly none in a scan that shows no bone."""
MIDDLE_LEVEL: Final = 4.5
LEAST_SHARPNESS: Final = 0.2
STRIDE: Final = FOLD * 2 ** (len(WIDTHS) - 1)


class Segmenter(nn.Module):
    """U-Net after Ronneberger et al. 2015 and Çiçek et al. 2016, with instance norm.

    It works on blocks of 2 x 2 x 2 voxels and scores each of their voxels (sub-pixel convolution,
    Shi et al. 2016). Instance norm (Ulyanov et al. 2016) works alike for batches of one. Which
    vertebra is which shows only from the whole neck, so the coarsest level has convolutions dilated
    along z.
    """

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList()
        inputs = FOLD**3
        for level, width in enumerate(WIDTHS):
            stride = 1 if level == 0 else 2
            self.down.append(
                nn.Sequential(_Layer(inputs, width, stride=stride), _Layer(width, width))
            )
            inputs = width
        self.context = nn.ModuleList(
            _Layer(inputs, inputs, dilation=dilation) for dilation in DILATIONS
        )
        self.narrow, self.up = nn.ModuleList(), nn.ModuleList()
        for width in reversed(WIDTHS[:-1]):
            self.narrow.append(nn.Conv3d(inputs, width, 1, bias=False))
            self.up.append(nn.Sequential(_Layer(2 * width, width), _Layer(width, width)))
            inputs = width
        self.head = nn.Conv3d(inputs + FOLD**3, 3 * FOLD**3, 1)

    def forward(self, grids: Tensor) -> Tensor:
        """Score the classes of each voxel.

        Args:
            grids: uint8 (n, z, y, x), grey levels of the bundle's HU window, z downwards.

        Returns:
            float32 (n, 9, z, y, x), log probabilities: background, C1..C7, other vertebra.
        """
        sizes = grids.shape[1:]
        # Zero is the lower end of the window: soft tissue.
        missing = [side for size in reversed(sizes) for side in (0, -size % STRIDE)]
        voxels = functional.pad(grids.unsqueeze(1).float() / 127.5, missing)
        x = blocks = _folded(voxels)
        kept: list[Tensor] = []
        for block in self.down:
            x = block(x)
            kept.append(x)
        for layer in self.context:
            x = x + layer(x)
        for narrow, block, skip in zip(self.narrow, self.up, reversed(kept[:-1]), strict=True):
            wider = functional.interpolate(narrow(x), scale_factor=2.0, mode="nearest")
            x = block(torch.cat([wider, skip], dim=1))
        depth, height, width = sizes
        outputs = _unfolded(self.head(torch.cat([x, blocks], dim=1)))
        return _class_scores(outputs[..., :depth, :height, :width].float())


def _class_scores(outputs: Tensor) -> Tensor:
    """Log probabilities of the classes, from bone, a place along the spine and its certainty.

    The place is one number, 1 at C1 and 8 below C7: to be a level wrong costs less than to be four
    wrong, and doubt about the level is no doubt about the bone.

    Args:
        outputs: float32 (n, 3, z, y, x).
    """
    bone, place, certainty = outputs.split(1, dim=1)
    levels = torch.arange(1.0, N_CLASSES, device=outputs.device).view(1, -1, 1, 1, 1)
    away = (place + MIDDLE_LEVEL - levels) ** 2
    sharpness = functional.softplus(certainty) + LEAST_SHARPNESS
    level = functional.log_softmax(-sharpness * away, dim=1)
    return torch.cat([functional.logsigmoid(-bone), functional.logsigmoid(bone) + level], dim=1)


def _folded(voxels: Tensor) -> Tensor:
    """Blocks of voxels as channels: (n, c, z, y, x) to (n, 8 c, z / 2, y / 2, x / 2)."""
    n, c, z, y, x = voxels.shape
    blocks = voxels.reshape(n, c, z // FOLD, FOLD, y // FOLD, FOLD, x // FOLD, FOLD)
    return blocks.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(
        n, c * FOLD**3, z // FOLD, y // FOLD, x // FOLD
    )


def _unfolded(blocks: Tensor) -> Tensor:
    """The inverse of `_folded`."""
    n, c, z, y, x = blocks.shape
    split = blocks.reshape(n, c // FOLD**3, FOLD, FOLD, FOLD, z, y, x)
    return split.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(
        n, c // FOLD**3, z * FOLD, y * FOLD, x * FOLD
    )


class _Layer(nn.Sequential):
    """Convolution, instance norm and leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__(
            nn.Conv3d(
                inputs, outputs, 3, stride=stride, padding=(dilation, 1, 1),
                dilation=(dilation, 1, 1), bias=False,
            ),
            nn.InstanceNorm3d(outputs, eps=NORM_EPSILON, affine=True),
            nn.LeakyReLU(0.01, inplace=True),
        )  # fmt: skip


def load_segmenter(bundle: BundleInfo, device: str | torch.device = "cpu") -> Segmenter:
    """Rebuild a bundle's segmenter.

    Args:
        bundle: From `read_bundle`, of the task "segmentation".
        device: Device of the returned model.

    Returns:
        The model in eval mode with float32 weights, needing no gradients.

    Raises:
        BundleError: The bundle is for another task, or its weights are missing, altered or do not
            fit.
    """
    if not bundle.config.gives_labels:
        raise BundleError(
            f"Bundle {bundle.config.name} is for {bundle.config.task}, but a segmentation bundle "
            "is needed here; choose another bundle."
        )
    return with_weights(partial(Segmenter), bundle, device)
