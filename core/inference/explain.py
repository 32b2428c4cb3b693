"""Which parts of a slice raise a network's output: its own line map, or Grad-CAM."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.constants import N_VERTEBRAE
from core.errors import BundleError
from core.inference.slice_inputs import prepared_images
from core.models.bundles import BundleInfo, read_bundle
from core.models.checkpoint import load_model
from core.models.dense import DenseModel
from core.models.tracing import TURNS
from core.preprocessing.metadata import slice_metadata
from core.types import CTVolume

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Heat map of one output of a network on one slice.

    Attributes:
        heat: float32 (h, w) on the slice, in [0, 1]; 0 outside the network's input region. Of a
            dense network the probability of a line; else Grad-CAM, 0 everywhere if nothing raises
            the output.
        xyxy: The input region, in pixel edges of the slice; it may extend past the slice.
        prob: The network's probability for that output, before any context of the vertebra.
        slice_index: Index of the slice.
        vertebra: Index 0..6 of C1..C7.
    """

    heat: NDArray[np.float32]
    xyxy: Box
    prob: float
    slice_index: int
    vertebra: int


def explain_slice(
    volume: CTVolume,
    bundle: BundleInfo,
    slice_index: int,
    vertebra: int,
    *,
    presence: NDArray[np.float32] | None = None,
) -> Explanation:
    """Explain a bundle's score of one vertebra on one slice.

    A dense network's own map is shown; other networks are explained by Grad-CAM.

    Args:
        volume: The study.
        bundle: A fracture bundle explains f_ij (Type 1: its one f_i), a vertebra bundle v_ij.
        slice_index: Slice i.
        vertebra: Index j, 0..6.
        presence: float32 (7,), v_ij of the slice; used by fracture Type 2 only.

    Raises:
        BundleError: The bundle is invalid, or needs `presence`.
        ValueError: There is no such slice or vertebra.
    """
    if not 0 <= slice_index < volume.n_slices or not 0 <= vertebra < N_VERTEBRAE:
        raise ValueError(f"There is no slice {slice_index} or no vertebra {vertebra} to explain.")
    if bundle.config.takes_presence and presence is None:
        raise BundleError(
            f"Bundle {bundle.config.name} needs vertebra presence; predict the study first."
        )
    images, xyxy = prepared_images(volume, slice_index, bundle)
    metadata = torch.from_numpy(slice_metadata(volume.z_mm, volume.slice_thickness_mm))
    inputs = (
        images,
        metadata[slice_index : slice_index + 1],
        None if presence is None else torch.from_numpy(presence[None].astype(np.float32)),
    )
    single = bundle.config.task == "fracture" and bundle.config.type == 1
    output = 0 if single else vertebra
    model = _model(str(bundle.folder), bundle.config.weights_sha256)
    with TURNS.running():
        if isinstance(model, DenseModel):
            cam, logit = line_map(model, inputs[0], inputs[2], output=output)
        else:
            cam, logit = grad_cam(model, lambda network: network(*inputs), output=output)
    return Explanation(
        heat=resized_to_slice(cam, xyxy, volume.hu.shape[1:]),
        xyxy=xyxy,
        prob=float(torch.sigmoid(torch.tensor(logit))),
        slice_index=slice_index,
        vertebra=vertebra,
    )


def grad_cam(
    model: nn.Module, run: Callable[[nn.Module], Tensor], *, output: int
) -> tuple[NDArray[np.float32], float]:
    """Weight the last feature maps by their gradients (Selvaraju et al., 2017).

    With A_k the last feature maps that still have a height and a width, and y the logit::

        L = relu(sum_k w_k A_k),   w_k = mean over u, v of dy / dA_k(u, v)

    Args:
        model: In eval mode.
        run: Calls the model on one slice and returns its logits (1, outputs).
        output: Which logit.

    Returns:
        float32 (rows, columns) of the feature maps, scaled so that the largest value is 1 (all 0
        if nothing raises the output), and the logit.
    """
    layer = _last_spatial_layer(model, run)
    kept: list[Tensor] = []

    def cut_here(module: nn.Module, inputs: object, maps: Tensor) -> Tensor:
        del module, inputs
        leaf = maps.detach().requires_grad_()
        kept.append(leaf)
        # A copy, as the following layers may work in place.
        return leaf.clone()

    hook = layer.register_forward_hook(cut_here)
    try:
        with torch.enable_grad():
            logit = run(model)[0, output]
            (gradient,) = torch.autograd.grad(logit, kept[-1])
    finally:
        hook.remove()
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    cam = torch.relu((weights * kept[-1].detach()).sum(dim=1))[0].float().numpy()
    largest = float(cam.max())
    scaled = cam / largest if largest > 0 else np.zeros_like(cam)
    return scaled.astype(np.float32), float(logit.detach())


@torch.inference_mode()
def line_map(
    model: DenseModel, images: Tensor, presence: Tensor | None, *, output: int
) -> tuple[NDArray[np.float32], float]:
    """A dense network's map of one output, as probabilities.

    Args:
        model: In eval mode.
        images: One slice, as `SliceModel.forward` takes it.
        presence: float32 (1, 7), v_ij; used by Type 2 only.
        output: Which map.

    Returns:
        float32 (rows, columns) in [0, 1], and the logit of the slice.
    """
    found = model(images, None, presence, with_maps=True)
    return torch.sigmoid(found.maps[0, output]).float().numpy(), float(found.logits[0, output])


def resized_to_slice(
    cam: NDArray[np.float32], xyxy: Box, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Resize a map to the network's input region and place it on the slice.

    Args:
        cam: float32 (rows, columns), the whole region.
        xyxy: The region in pixel edges of the slice; the part outside the slice is cut off.
        shape: (h, w) of the slice.

    Returns:
        float32 (h, w), 0 outside the region.
    """
    left, top, right, bottom = xyxy
    large = cv2.resize(cam, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
    heat = np.zeros(shape, np.float32)
    rows = slice(max(top, 0), min(bottom, shape[0]))
    columns = slice(max(left, 0), min(right, shape[1]))
    heat[rows, columns] = large[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ]
    return np.clip(heat, 0.0, 1.0)


def _last_spatial_layer(model: nn.Module, run: Callable[[nn.Module], Tensor]) -> nn.Module:
    """The layer that gives the last feature maps (1, k, rows, columns) larger than one cell."""
    found: list[nn.Module] = []

    def note(module: nn.Module, inputs: object, output: object) -> None:
        del inputs
        if isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[2:]) > 1:
            found.append(module)

    hooks = [module.register_forward_hook(note) for module in model.modules()]
    try:
        with torch.inference_mode():
            run(model)
    finally:
        for hook in hooks:
            hook.remove()
    if not found:
        raise BundleError("The network has no feature map to explain; choose another bundle.")
    return found[-1]


@lru_cache(maxsize=2)
def _model(folder: str, weights_sha256: str) -> nn.Module:
    """Load a model; the digest only serves as part of the cache key."""
    del weights_sha256
    return load_model(read_bundle(Path(folder)))
