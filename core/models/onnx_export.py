"""A bundle's network as an ONNX file, checked against torch before it is kept."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from core.constants import N_VERTEBRAE
from core.errors import BundleError
from core.models.bundles import BundleConfig, BundleInfo, EnsembleConfig
from core.models.checkpoint import load_model
from core.models.localizer import Localizer
from core.models.localizer_bundle import load_localizer
from core.models.onnx_model import PREPARATION_KEY, WEIGHTS_KEY, open_session
from core.preprocessing.metadata import N_METADATA
from core.system.atomic_files import atomic_path

TOLERANCE: Final = 1e-4
"""Largest difference of a logit, score or corner (pixels) from torch's that is accepted."""
OPSET: Final = 20
BOX_OPSET: Final = 17
"""Of the older exporter, which alone takes torchvision's detectors."""
_CHECKED_BATCHES: Final = (1, 3)


@dataclass(frozen=True, slots=True)
class OnnxExport:
    """An exported network.

    Attributes:
        file: The ONNX file.
        inputs: Names of its inputs, in their order.
        outputs: Names of its outputs.
        largest_difference: From torch, over the test pictures.
    """

    file: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    largest_difference: float


class _Inputs(NamedTuple):
    """Inputs of a slice network as `SliceModel.forward` takes them; None: not used."""

    images: Tensor
    metadata: Tensor | None
    presence: Tensor | None

    def named(self) -> dict[str, Tensor]:
        return {name: value for name, value in self._asdict().items() if value is not None}


class _FirstSlice(nn.Module):
    """A localiser over one slice, with boxes and scores as outputs of their own."""

    def __init__(self, localizer: Localizer) -> None:
        super().__init__()
        self.localizer = localizer

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Turn uint8 (1, [3,] s, s) into float32 (k, 4), xyxy in pixels, and (k,)."""
        found = self.localizer(images)
        return found[0].xyxy, found[0].scores  # type: ignore[index]


def export_onnx(bundle: BundleInfo, target: Path) -> OnnxExport:
    """Write a bundle's network as ONNX.

    Slice networks take `images`, uint8 (n, [3,] s, s) prepared as the file's metadata says, and,
    by their type, `metadata` or `presence`; they give `logits`, float32 (n, outputs). A localiser
    takes one slice, and gives `boxes`, float32 (k, 4), xyxy in pixels of the input, and `scores`,
    float32 (k,). The metadata holds the preparation and the digest of the weights.

    Args:
        bundle: From `read_bundle`; of any task.
        target: File to write, replaced if it exists.

    Raises:
        BundleError: The bundle is an ensemble or invalid, or the exported network differs from
            torch by more than `TOLERANCE`; nothing is written then.
        StorageError: The file cannot be written.
    """
    if isinstance(bundle.config, EnsembleConfig):
        raise BundleError(
            f"Bundle {bundle.config.name} is an ensemble, which has no network of its own; export "
            "its members."
        )
    if bundle.config.gives_labels:
        raise BundleError(
            f"Bundle {bundle.config.name} is a segmenter, which has no ONNX form yet; export a "
            "slice network or a localiser."
        )
    with atomic_path(target) as file:
        export = _export_boxes if bundle.config.gives_boxes else _export_slices
        done = export(bundle, file)
        if not done.largest_difference <= TOLERANCE:
            raise BundleError(
                f"Bundle {bundle.config.name} differs in ONNX by {done.largest_difference:.1e} "
                "from torch; use another version of torch or onnx."
            )
    return OnnxExport(target, done.inputs, done.outputs, done.largest_difference)


def _export_slices(bundle: BundleInfo, file: Path) -> OnnxExport:
    model = load_model(bundle).to(memory_format=torch.contiguous_format)
    sample = _slices(bundle.config, 2)
    n_slices = torch.export.Dim("n")
    shapes = {
        name: None if value is None else {0: n_slices} for name, value in sample._asdict().items()
    }
    names = tuple(sample.named())
    with _quiet():
        program = torch.onnx.export(
            model, tuple(sample), dynamo=True, opset_version=OPSET, dynamic_shapes=shapes,
            input_names=list(names), output_names=["logits"], verbose=False,
        )  # fmt: skip
        if program is None:
            raise BundleError(f"Bundle {bundle.config.name} cannot be exported by this torch.")
        program.save(str(file), external_data=False)
    _describe(file, bundle.config)
    session = open_session(file)
    differences: list[float] = []
    for n in _CHECKED_BATCHES:
        given = _slices(bundle.config, n)
        fed = {name: value.numpy() for name, value in given.named().items()}
        (found,) = session.run(["logits"], fed)
        with torch.inference_mode():
            differences.append(_difference(model(*given).numpy(), np.asarray(found)))
    return OnnxExport(file, names, ("logits",), max(differences))


def _export_boxes(bundle: BundleInfo, file: Path) -> OnnxExport:
    """Export a localiser; it is compared with every box kept, as noise has none that counts."""
    localizer = load_localizer(bundle)
    network = _FirstSlice(localizer).eval()
    heads = localizer.detector.roi_heads
    images = _slices(bundle.config, 1).images
    least = heads.score_thresh
    setattr(heads, "score_thresh", 0.0)  # noqa: B010 - untyped in torchvision
    _trace_boxes(network, images, file)
    fed = {"images": images.numpy()}
    found = open_session(file).run(["boxes", "scores"], fed)
    with torch.inference_mode():
        expected = network.eval()(images)
    difference = max(
        _difference(ours.numpy(), np.asarray(theirs))
        for ours, theirs in zip(expected, found, strict=True)
    )
    setattr(heads, "score_thresh", least)  # noqa: B010
    _trace_boxes(network, images, file)
    _describe(file, bundle.config)
    open_session(file)
    return OnnxExport(file, ("images",), ("boxes", "scores"), difference)


def _trace_boxes(network: nn.Module, images: Tensor, file: Path) -> None:
    with _quiet():
        torch.onnx.export(
            network.eval(), (images,), str(file), dynamo=False, opset_version=BOX_OPSET,
            input_names=["images"], output_names=["boxes", "scores"],
            dynamic_axes={"boxes": {0: "k"}, "scores": {0: "k"}},
        )  # fmt: skip


def _slices(config: BundleConfig, n: int) -> _Inputs:
    """Test inputs: smooth pictures with noise, the same in every call."""
    generator = torch.Generator().manual_seed(n)
    random = partial(torch.rand, generator=generator)
    preparation = config.preparation
    channels = () if preparation.channels == "grey" else (3,)
    side = preparation.size
    smooth = nn.functional.interpolate(random(n, 3, 9, 9), size=side, mode="bicubic")
    mixed = (0.8 * smooth + 0.2 * random(n, 3, side, side)).clamp(0, 1) * 255
    images = mixed.to(torch.uint8)
    takes_metadata = config.task == "vertebra" and config.type == 2
    return _Inputs(
        images=images if channels else images[:, 0].contiguous(),
        metadata=random(n, N_METADATA) if takes_metadata else None,
        presence=random(n, N_VERTEBRAE) if config.takes_presence else None,
    )


def _describe(file: Path, config: BundleConfig) -> None:
    """Write into the file what its inputs and outputs mean."""
    made: Any = onnx.load(str(file))
    made.doc_string = (
        f"{config.title}. For research and teaching, not for clinical use. images: uint8 slices, "
        "prepared as `preparation` says; scaling and normalisation are part of the network. "
        "Vertebrae are in the order C1 to C7; probabilities are the sigmoid of the logits."
    )
    facts = {
        "name": config.name, "task": config.task, "type": str(config.type),
        "backbone": config.backbone, "created": config.created,
        PREPARATION_KEY: config.preparation.model_dump_json(), WEIGHTS_KEY: config.weights_sha256,
    }  # fmt: skip
    onnx.helper.set_model_props(made, facts)
    onnx.checker.check_model(made)
    onnx.save(made, str(file))


def _difference(ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]) -> float:
    """Largest absolute difference; infinite if the shapes differ, as where a box is missing."""
    if ours.shape != theirs.shape:
        return float("inf")
    return float(np.abs(ours - theirs).max(initial=0.0))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' remarks on their own workings from the user."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
