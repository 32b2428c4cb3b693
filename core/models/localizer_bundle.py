"""Loading a localiser from a bundle, and starting one from another network's weights."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from core.errors import BundleError
from core.models.bundles import BundleInfo
from core.models.checkpoint import float32_weights, other_backbone, with_weights
from core.models.localizer import Localizer


def load_localizer(bundle: BundleInfo, device: str | torch.device = "cpu") -> Localizer:
    """Rebuild a bundle's localiser.

    Args:
        bundle: From `read_bundle`, of the task "localization".
        device: Device of the returned model.

    Returns:
        The model in eval mode with float32 weights, needing no gradients.

    Raises:
        BundleError: The bundle is for another task, or its weights are missing, altered or do not
            fit.
    """
    config = bundle.config
    if not config.gives_boxes or config.anchors is None:
        raise BundleError(
            f"Bundle {config.name} detects {config.task}, but a localisation bundle is needed "
            "here; choose another bundle."
        )
    size = config.preparation.size
    build = partial(Localizer, config.backbone, config.anchors, size=size)
    return with_weights(build, bundle, device)


def start_localizer(model: nn.Module, bundle: BundleInfo) -> int:
    """Copy the weights of another localiser, or the backbone of a slice model, into a fresh one.

    Args:
        model: The fresh localiser; if the bundle is a localiser, built with that one's anchors, for
            which its heads were trained.
        bundle: Bundle of any task.

    Returns:
        Number of tensors copied.

    Raises:
        BundleError: The weights are missing or altered, or the bundle has another backbone.
    """
    given = float32_weights(bundle)
    own = model.state_dict()
    whole = bundle.config.gives_boxes
    start = "" if whole else "detector.backbone.body."
    wanted = [name for name in own if name.startswith(start)]
    taken: dict[str, Tensor] = {}
    for name in wanted:
        part = name.removeprefix(start)
        source = (
            given.get(name) if whole else next((given[k] for k in _named(part) if k in given), None)
        )
        if source is None or source.shape != own[name].shape:
            raise other_backbone(bundle)
        taken[name] = source
    model.load_state_dict(taken, strict=False)
    return len(taken)


def _named(part: str) -> tuple[str, ...]:
    """Names that a part of the backbone may have in a slice network, pooled or dense."""
    return (f"backbone.features.{part}", f"backbone.{part}", f"backbone.body.{part}")
