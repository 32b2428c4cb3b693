"""A localiser from a bundle, and the start of one from what another network has learnt."""

from __future__ import annotations

import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_from_bytes
from torch import Tensor, nn

from core.errors import BundleError, ConfigError
from core.models.bundles import CONFIG_FILE, BundleInfo
from core.models.checkpoint import checked_weights
from core.models.localizer import Localizer


def load_localizer(bundle: BundleInfo, device: str | torch.device = "cpu") -> Localizer:
    """Rebuild a bundle's localiser.

    Args:
        bundle: From `read_bundle`, of the task "localization".
        device: Where the model goes.

    Returns:
        The model in eval mode with float32 weights, needing no gradients.

    Raises:
        BundleError: It is for another task, or the weights are missing, altered or do not fit.
    """
    config = bundle.config
    if not config.gives_boxes or config.anchors is None:
        raise BundleError(
            f"Bundle {config.name} detects {config.task}, but a localisation bundle is needed "
            "here; choose another bundle."
        )
    try:
        model = Localizer(config.backbone, config.anchors, size=config.preparation.size)
        model.load_state_dict(_widened(bundle), strict=True)
    except (SafetensorError, RuntimeError, ConfigError) as error:
        raise BundleError(
            f"{bundle.weights_file} does not fit its {CONFIG_FILE}; train the bundle anew."
        ) from error
    model.requires_grad_(requires_grad=False)
    return model.to(memory_format=torch.channels_last).eval().to(device)


def start_localizer(model: nn.Module, bundle: BundleInfo) -> int:
    """Give a fresh localiser the weights of another one, or the backbone of a slice model.

    Args:
        model: The fresh localiser; where the bundle is a localiser, built with its anchors, as
            the heads learnt against them.
        bundle: Of any task.

    Returns:
        How many tensors were taken over.

    Raises:
        BundleError: The weights are missing or altered, or the bundle has another backbone.
    """
    try:
        given = _widened(bundle)
    except SafetensorError as error:
        raise BundleError(
            f"{bundle.weights_file} holds no weights; train the bundle anew."
        ) from error
    own = model.state_dict()
    whole = bundle.config.gives_boxes
    start = "" if whole else "detector.backbone.body."
    wanted = [name for name in own if name.startswith(start)]
    taken: dict[str, Tensor] = {}
    for name in wanted:
        part = name.removeprefix(start)
        source = (
            given.get(name)
            if whole
            else given.get(f"backbone.features.{part}", given.get(f"backbone.{part}"))
        )
        if source is None or source.shape != own[name].shape:
            raise BundleError(
                f"Bundle {bundle.config.name} has the backbone {bundle.config.backbone}, which "
                "does not fit; set `backbone` to it, or `init_from` to another bundle."
            )
        taken[name] = source
    model.load_state_dict(taken, strict=False)
    return len(taken)


def _widened(bundle: BundleInfo) -> dict[str, Tensor]:
    state = tensors_from_bytes(checked_weights(bundle))
    return {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in state.items()
    }
