"""A slice network that ONNX Runtime computes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
import torch
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidGraph,
    InvalidProtobuf,
    NoSuchFile,
)
from torch import Tensor

from core.errors import BundleError
from core.models.bundles import BundleInfo

PREPARATION_KEY: Final = "preparation"
"""Metadata: JSON of the `SlicePreparation`."""
WEIGHTS_KEY: Final = "weights_sha256"
"""Metadata: digest of the bundle's weights."""
_BROKEN: Final = (Fail, InvalidGraph, InvalidProtobuf, NoSuchFile)


class OnnxModel:
    """A slice network from an ONNX file; called as a `SliceModel`, on the CPU.

    Args:
        bundle: The bundle that the file was exported from.
        file: The file.

    Raises:
        BundleError: The file is missing or damaged, or holds other weights.
    """

    def __init__(self, bundle: BundleInfo, file: Path) -> None:
        self._session = open_session(file)
        if metadata_of(self._session).get(WEIGHTS_KEY) != bundle.config.weights_sha256:
            raise BundleError(
                f"{file} was not exported from bundle {bundle.config.name}; export it again."
            )
        self._names = [one.name for one in self._session.get_inputs()]

    def __call__(
        self, images: Tensor, metadata: Tensor | None = None, presence: Tensor | None = None
    ) -> Tensor:
        """Logits, float32 (n, outputs), of inputs as `SliceModel.forward` takes them.

        Raises:
            ValueError: An input that the network needs is missing.
        """
        given = {"images": images, "metadata": metadata, "presence": presence}
        fed: dict[str, np.ndarray] = {}
        for name in self._names:
            value = given[name]
            if value is None:
                raise ValueError(f"This network needs {name}.")
            fed[name] = np.ascontiguousarray(value.numpy())
        (logits,) = self._session.run(["logits"], fed)
        return torch.from_numpy(np.asarray(logits))


def open_session(file: Path) -> onnxruntime.InferenceSession:
    """Open an ONNX file on the CPU, with as many threads as torch uses.

    Raises:
        BundleError: The file is missing or damaged.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except _BROKEN as error:
        raise BundleError(f"{file} cannot be read as ONNX; export the bundle again.") from error


def metadata_of(session: onnxruntime.InferenceSession) -> Mapping[str, str]:
    """What the exporter has written into a file about its network."""
    return session.get_modelmeta().custom_metadata_map
