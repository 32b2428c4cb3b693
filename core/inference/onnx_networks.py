"""Networks that ONNX Runtime computes, exported when first needed and kept."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from core.errors import BundleError, ConfigError
from core.models.bundles import BundleInfo
from core.models.onnx_export import export_onnx
from core.models.onnx_model import OnnxModel

CPU: Final = "cpu"


def onnx_network(bundle: BundleInfo, folder: Path, device: str) -> OnnxModel:
    """A bundle's slice network in ONNX Runtime.

    Args:
        bundle: The bundle of a slice network.
        folder: Where exported networks are kept, by name and digest; made if missing.
        device: Device of the prediction.

    Raises:
        BundleError: The bundle cannot be exported.
        ConfigError: The device is not the CPU.
        StorageError: The folder cannot be written.
    """
    if device != CPU:
        raise ConfigError(f"ONNX Runtime computes on the CPU here, not on {device}; use torch.")
    config = bundle.config
    name = re.sub(r"[^\w.-]", "-", config.name)
    file = folder / f"{name}-{config.weights_sha256[:12]}.onnx"
    try:
        return OnnxModel(bundle, file)
    except BundleError:  # Missing, damaged, or of another version.
        folder.mkdir(parents=True, exist_ok=True)
        export_onnx(bundle, file)
        return OnnxModel(bundle, file)
