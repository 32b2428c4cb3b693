"""A bundle's model prepared for fast inference: fused layers, and bfloat16 where it is faster."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

from core.models.bundles import BundleInfo
from core.models.checkpoint import load_model
from core.models.slice_model import SliceModel
from core.models.tracing import TURNS


class HalfBackbone(nn.Module):
    """A backbone that computes in bfloat16 between float32 images and float32 features.

    The head stays float32: it costs little next to the backbone, and the logits keep their
    precision.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.to(torch.bfloat16)

    def forward(self, images: Tensor) -> Tensor | dict[str, Tensor]:
        """Turn float32 (n, 3, s, s) into float32 (n, features), or a dense trunk's float32 maps."""
        found: Tensor | Mapping[str, Tensor] = self.network(images.to(torch.bfloat16))
        if isinstance(found, Tensor):
            return found.float()
        return {name: maps.float() for name, maps in found.items()}


def load_fast_model(bundle: BundleInfo, device: str, *, bfloat16: bool | None = None) -> SliceModel:
    """Load a bundle's model for inference only.

    Each batch norm that follows a convolution is folded into it, which changes float32 logits in
    the last digits only; weights are stored channels last.

    Args:
        bundle: From `read_bundle`.
        device: "cpu", "cuda", "cuda:1" or "mps".
        bfloat16: Compute the backbone in bfloat16; None: if the device does so in hardware.
            Probabilities then differ by about 0.001 on average.

    Returns:
        The model in eval mode, needing no gradients; its state dict no longer fits the bundle.

    Raises:
        BundleError: As `load_model` raises it.
    """
    model = load_model(bundle, "cpu")
    with TURNS.tracing():
        model.backbone = fuse(model.backbone, inplace=True)
    model.requires_grad_(requires_grad=False)
    if computes_in_bfloat16(device) if bfloat16 is None else bfloat16:
        model.backbone = HalfBackbone(model.backbone)
    return model.to(memory_format=torch.channels_last).eval().to(device)


def computes_in_bfloat16(device: str) -> bool:
    """Whether a device multiplies bfloat16 numbers in hardware, about twice as fast as float32."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # torch has no public function for the processor's instruction set.
    supported: Callable[[], bool] | None = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return device == "cpu" and supported is not None and supported()
