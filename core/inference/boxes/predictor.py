"""Localiser inference: from a CT volume to raw boxes in pixels of its slices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import BundleError
from core.inference.boxes.boxes_csv import boxes_from
from core.inference.device import pick_device, smaller_batch
from core.models.bundles import BundleInfo
from core.models.localizer import Localizer, RawBoxes
from core.models.localizer_bundle import load_localizer
from core.models.operating_points import operating_point
from core.models.tracing import TURNS
from core.prepared.box_slices import BoxSlices, squares_of
from core.preprocessing.box_geometry import boxes_from_square, clip_boxes
from core.preprocessing.network_input import stack_neighbours
from core.types import CTVolume, FileBox, Progress, RawDetections

FLIPS: Final = (False, True)
"""The passes of test-time augmentation: original, and mirrored left to right."""
STORED_FROM: Final = 0.03
"""Lowest score of a raw box that is kept."""
BATCH_SIZE: Final = 16
"""Slices in one pass."""


class BoxPredictor:
    """Localisers loaded once, run over any number of series.

    Args:
        bundles: One localisation bundle or more; `source` distinguishes their boxes.
        device: As for `pick_device`.

    Raises:
        BundleError: There is no bundle, or one is invalid or for another task.
        DeviceError: The device is not available.
    """

    def __init__(self, bundles: Sequence[BundleInfo], *, device: str = "auto") -> None:
        if not bundles:
            raise BundleError("No localisation bundle is named; give one of `checkpoints`.")
        self.device = pick_device(device)
        self._bundles = tuple(bundles)
        self._models = [load_localizer(bundle, self.device) for bundle in bundles]
        self._batch_size = BATCH_SIZE

    @property
    def threshold(self) -> float:
        """Lowest score of a box that counts: the first bundle's operating point."""
        return operating_point(self._bundles[0], "box").threshold

    @property
    def n_sources(self) -> int:
        """Number of passes over every slice."""
        return len(self._models) * len(FLIPS)

    def predict(self, volume: CTVolume, *, progress: Progress | None = None) -> RawDetections:
        """Run every localiser over every slice, with test-time augmentation.

        Args:
            volume: int16 HU, (z, y, x); slice 0 the most cranial.
            progress: Called with slices done and the total over all models.

        Returns:
            Boxes in pixels of the volume's slices, clipped to their edges.

        Raises:
            BundleError: A network gives NaN.
        """
        rows: list[NDArray[np.float64]] = [np.empty((0, 7))]
        total = volume.n_slices * len(self._models)
        for number, bundle in enumerate(self._bundles):
            images, squares = squares_of(volume, bundle.config.preparation)
            for done, found in self._walk(number, images, squares):
                rows.append(found)
                if progress is not None:
                    progress(number * volume.n_slices + done, total)
        return self._detections(
            np.concatenate(rows), study_id=volume.study_uid, shape=volume.hu.shape[1:],
            z_mm=volume.z_mm,
        )  # fmt: skip

    def boxes_of(self, raw: RawDetections, volume: CTVolume) -> tuple[FileBox, ...]:
        """Fuse raw boxes and keep those at or above the first bundle's operating point.

        Args:
            raw: Raw boxes of the study, from `predict`.
            volume: The study.
        """
        return boxes_from(raw, volume, self.threshold)

    def predict_prepared(self, study: BoxSlices) -> RawDetections:
        """Run the first localiser over prepared squares.

        Args:
            study: Squares prepared for the bundle.

        Returns:
            As `predict`; a square may extend past its slice, and so may a box.

        Raises:
            BundleError: A network gives NaN.
        """
        rows = [found for _, found in self._walk(0, study.images, study.squares)]
        return self._detections(
            np.concatenate([np.empty((0, 7)), *rows]), study_id=study.study_id, shape=None,
            z_mm=study.z_mm,
        )  # fmt: skip

    def _walk(
        self, number: int, images: NDArray[np.uint8], squares: NDArray[np.float64]
    ) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Yield the number of slices done and their boxes, float64 (k, 7), batch by batch."""
        preparation = self._bundles[number].config.preparation
        size = self._batch_size
        for start in range(0, len(images), size):
            chosen = np.arange(start, min(start + size, len(images)))
            batch = (
                stack_neighbours(images, chosen)
                if preparation.channels == "neighbours"
                else images[chosen]
            )
            rows = [np.empty((0, 7))]
            for k, flip in enumerate(FLIPS):
                source = number * len(FLIPS) + k
                found = self._run(self._models[number], batch, preparation.size, flip=flip)
                rows += [
                    _rows(boxes, i, squares[i], preparation.size, source)
                    for i, boxes in zip(chosen.tolist(), found, strict=True)
                ]
            yield int(chosen[-1]) + 1, np.concatenate(rows)

    @torch.inference_mode()
    def _run(
        self, model: Localizer, batch: NDArray[np.uint8], size: int, *, flip: bool
    ) -> list[NDArray[np.float64]]:
        """Boxes and scores of each slice, float64 (k, 5), in pixels of the unmirrored square."""
        seen = np.ascontiguousarray(batch[..., ::-1]) if flip else np.ascontiguousarray(batch)
        found: list[NDArray[np.float64]] = []
        start = 0
        while start < len(seen):
            part = seen[start : start + self._batch_size]
            try:
                with TURNS.running():
                    raw = model(torch.from_numpy(part).to(self.device))
            except torch.OutOfMemoryError as error:
                name = self._bundles[0].config.name
                self._batch_size = smaller_batch(len(part), self.device, name, error)
                continue
            found += [_unmirrored(one, size, flip=flip) for one in raw if isinstance(one, RawBoxes)]
            start += len(part)
        return found

    def _detections(
        self,
        rows: NDArray[np.float64],
        *,
        study_id: str,
        shape: tuple[int, ...] | None,
        z_mm: NDArray[np.float64],
    ) -> RawDetections:
        if not np.isfinite(rows).all():
            raise BundleError(
                f"Bundle {self._bundles[0].config.name} gives NaN or infinite boxes; train it "
                "again."
            )
        kept = rows[rows[:, 5] >= STORED_FROM]
        boxes = kept[:, 1:5] if shape is None else clip_boxes(kept[:, 1:5], shape[1], shape[0])
        return RawDetections(
            study_id=study_id,
            slice_index=kept[:, 0].astype(np.int64),
            xyxy=boxes,
            scores=kept[:, 5],
            source=kept[:, 6].astype(np.int64),
            n_sources=self.n_sources,
            z_mm=z_mm,
            models=tuple(bundle.config.name for bundle in self._bundles),
        )


def _unmirrored(raw: RawBoxes, size: int, *, flip: bool) -> NDArray[np.float64]:
    boxes = raw.xyxy.double().cpu().numpy().reshape(-1, 4)
    if flip:
        boxes = np.column_stack([size - boxes[:, 2], boxes[:, 1], size - boxes[:, 0], boxes[:, 3]])
    return np.column_stack([boxes, raw.scores.double().cpu().numpy()])


def _rows(
    found: NDArray[np.float64], index: int, square: NDArray[np.float64], size: int, source: int
) -> NDArray[np.float64]:
    """Slice, xyxy in pixels of the slice, score and source, float64 (k, 7)."""
    boxes = boxes_from_square(found[:, :4], square, size)
    k = len(found)
    return np.column_stack([np.full(k, index), boxes, found[:, 4], np.full(k, source)])
