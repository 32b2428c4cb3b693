"""Saving a model as a bundle, and loading and checking it."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor, nn

from core.errors import BundleError, ConfigError
from core.models.bundles import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    BundleConfig,
    BundleInfo,
    EnsembleConfig,
)
from core.models.memory_format import channels_last
from core.models.registry import build_model
from core.models.slice_model import SliceModel
from core.system.atomic_files import write_bytes, write_text

Network = TypeVar("Network", bound=nn.Module)

_UNFIT: Final = (RuntimeError, LookupError, ValueError, TypeError, ConfigError)
"""Errors that loading altered weights can raise."""


_OF_LOCALIZER: Final = {
    "detector.backbone.": "backbone.",
    "detector.rpn.head.conv.0.0.": "backbone.evidence.0.",
    "detector.rpn.head.cls_logits.": "backbone.scores.",
}
"""Parts of a localiser and their places in a dense model."""


def save_bundle(
    folder: Path, model: nn.Module, config: BundleConfig, *, half: bool = True
) -> BundleConfig:
    """Write a model's weights and config as a bundle.

    Args:
        folder: Folder of the bundle, made if missing.
        model: A model from `build_model`.
        config: Description of the model; `weights_sha256` and `parameters` are filled in here.
        half: Store matrices and kernels as float16, which halves the file. Vectors (biases,
            batch-norm scales and running statistics) stay float32: they are small, and a running
            variance can exceed float16's range.

    Returns:
        The config as written.

    Raises:
        StorageError: The folder cannot be written.
    """
    payload = tensors_to_bytes(
        {name: _stored(tensor, half=half) for name, tensor in model.state_dict().items()}
    )
    complete = config.model_copy(
        update={
            "weights_sha256": hashlib.sha256(payload).hexdigest(),
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
        }
    )
    # The config goes last: until it is there with the right digest, the bundle does not load.
    write_bytes(folder / WEIGHTS_FILE, payload)
    write_text(folder / CONFIG_FILE, complete.model_dump_json(indent=2) + "\n")
    return complete


def load_model(bundle: BundleInfo, device: str | torch.device = "cpu") -> SliceModel:
    """Rebuild a bundle's model.

    Args:
        bundle: From `read_bundle`.
        device: Device of the returned model.

    Returns:
        The model in eval mode with float32 weights, channels last, needing no gradients.

    Raises:
        BundleError: The weights are missing, altered, or do not fit the config.
    """
    config = bundle.config
    size = config.preparation.size
    build = partial(
        build_model, config.task, config.type, config.backbone, head=config.head, size=size
    )
    return with_weights(build, bundle, device)


def with_weights(
    build: Callable[[], Network], bundle: BundleInfo, device: str | torch.device
) -> Network:
    """Make a network and give it a bundle's weights, as `load_model` does.

    Args:
        build: Makes the network with any weights.
        bundle: From `read_bundle`.
        device: Device of the returned network.

    Raises:
        BundleError: The weights are missing, altered, or do not fit the network.
    """
    state = float32_weights(bundle)
    try:
        model = build()
        _check_finite(bundle, state)
        model.load_state_dict(_versioned(state, model), strict=True)
    except _UNFIT as error:
        raise BundleError(
            f"{bundle.weights_file} does not fit its {CONFIG_FILE}; train the bundle again."
        ) from error
    model.requires_grad_(requires_grad=False)
    return channels_last(model).eval().to(device)


def start_from_bundle(model: SliceModel, bundle: BundleInfo) -> tuple[int, int]:
    """Copy a bundle's weights into a fresh model wherever a layer has the same name and shape.

    The heads of another type or task keep their random weights. A dense model takes the trunk of a
    localiser.

    Returns:
        Number of tensors copied, and number of tensors of the model.

    Raises:
        BundleError: The weights are missing or altered, or the bundle has another backbone.
    """
    own = model.state_dict()
    given = float32_weights(bundle)
    if bundle.config.gives_boxes:
        given = trunk_of_localizer(given)
    taken = {
        name: tensor
        for name, tensor in given.items()
        if name in own and tensor.shape == own[name].shape
    }
    lacking = [name for name in own if name.startswith("backbone.") and name not in taken]
    if lacking:
        raise other_backbone(bundle)
    model.load_state_dict(_versioned(taken, model), strict=False)
    return len(taken), len(own)


def trunk_of_localizer(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A localiser's backbone, pyramid and proposal head, by their names in a dense model."""
    found: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        for theirs, ours in _OF_LOCALIZER.items():
            if name.startswith(theirs):
                found[ours + name.removeprefix(theirs)] = tensor
    return found


def other_backbone(bundle: BundleInfo) -> BundleError:
    """The error of a network that cannot start from a bundle."""
    return BundleError(
        f"Bundle {bundle.config.name} has the backbone {bundle.config.backbone}, which does "
        "not fit; set `backbone` to it, or `init_from` to another bundle."
    )


def _versioned(state: Mapping[str, Tensor], model: nn.Module) -> OrderedDict[str, Tensor]:
    """The weights with the layers' versions, which a safetensors file does not keep.

    torchvision's MNASNet refuses weights without a version.
    """
    versioned = OrderedDict(state)
    vars(versioned)["_metadata"] = vars(model.state_dict())["_metadata"]
    return versioned


def float32_weights(bundle: BundleInfo) -> dict[str, Tensor]:
    """Read a bundle's weights by name, those stored as float16 as float32.

    Raises:
        BundleError: The file is missing, is not the one its config was written for, or is not in
            safetensors format, or the bundle is an ensemble.
    """
    if isinstance(bundle.config, EnsembleConfig):
        raise BundleError(
            f"{bundle.config.name} is an ensemble without weights of its own; name one of its "
            "members."
        )
    try:
        payload = bundle.weights_file.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{bundle.weights_file} cannot be read; restore the file or train the bundle again."
        ) from error
    if hashlib.sha256(payload).hexdigest() != bundle.config.weights_sha256:
        raise BundleError(
            f"{bundle.weights_file} is not the file its {CONFIG_FILE} was written for; "
            "restore both from one bundle or train it again."
        )
    try:
        state = tensors_from_bytes(payload)
    except SafetensorError as error:
        raise BundleError(
            f"{bundle.weights_file} holds no weights; train the bundle again."
        ) from error
    return {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in state.items()
    }


def _check_finite(bundle: BundleInfo, state: Mapping[str, Tensor]) -> None:
    """Refuse weights that are NaN or infinite: every output of such a network would be NaN."""
    if not all(bool(torch.isfinite(tensor).all()) for tensor in state.values()):
        raise BundleError(
            f"{bundle.weights_file} holds weights that are not finite; train the bundle again."
        )


def _stored(tensor: Tensor, *, half: bool) -> Tensor:
    stored = tensor.detach().cpu().contiguous()
    if half and stored.is_floating_point() and stored.ndim >= 2:
        return stored.half()
    return stored
