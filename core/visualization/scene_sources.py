"""What the surfaces of a study are made from, and making them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.cache.keys import file_digest, remembered_digest
from core.dataset.masks import MaskReader, load_vertebra_mask
from core.dataset.rsna import lines_file
from core.errors import SceneError
from core.inference.study_scores import StudyScores
from core.models.bundles import BundleInfo
from core.types import CTVolume, StudyRecord
from core.visualization.labels import (
    VertebraLabels,
    labels_from_presence,
    labels_from_segmenter,
)
from core.visualization.scene_surfaces import (
    PackedParts,
    build_parts,
    keep_parts,
    pack_parts,
    parts_key,
)


@dataclass(frozen=True, slots=True, eq=False)
class SceneSources:
    """What the surfaces of a study are made from.

    Attributes:
        volume: The series.
        fingerprint: sha256 of the series' files.
        mask: Segmentation of the vertebrae; None without one.
        lines: Mask of the fracture voxels, for synthetic studies only.
        presence: float32 (n_slices, 7), v_ij; used without a segmentation.
        segmenter: Network that segments a study without a mask; None without one.
    """

    volume: CTVolume
    fingerprint: str
    mask: Path | None
    lines: Path | None
    presence: NDArray[np.float32] | None
    segmenter: BundleInfo | None = None

    def key(self, cache: Path) -> str:
        """Name of the surfaces: digest of the content of all sources.

        Args:
            cache: Folder where digests of files are remembered.

        Raises:
            DataRootError: A mask cannot be read.
        """
        files = [path for path in (self.mask, self.lines) if path is not None]
        sources = [bytes.fromhex(remembered_digest(path, file_digest, cache)) for path in files]
        if self.mask is None and self.segmenter is not None:
            sources.append(self.segmenter.config.weights_sha256.encode())
        if self.mask is None and self.presence is not None:
            sources.append(self.presence.tobytes())
        return parts_key(self.fingerprint, *sources)

    def build(self, cache: Path, read_mask: MaskReader = load_vertebra_mask) -> PackedParts:
        """Make the surfaces and keep them in `cache`; `read_mask` reads the masks.

        Raises:
            DataRootError: A mask cannot be read or lies elsewhere.
            StorageError: The cache cannot be written.
        """
        volume, labels = self.volume, self._labels(read_mask)
        lines = None
        if self.lines is not None:
            lines = read_mask(self.lines, volume, on_bone=False)
        packed = pack_parts(build_parts(volume, labels, lines), self.key(cache), volume)
        keep_parts(cache, packed)
        return packed

    def _labels(self, read_mask: MaskReader) -> VertebraLabels:
        """From the mask, else from the segmenter, else from the presence."""
        if self.mask is not None:
            return VertebraLabels(read_mask(self.mask, self.volume), "mask")
        found = None
        if self.segmenter is not None:
            found = labels_from_segmenter(self.volume, self.segmenter)
        if found is None and self.presence is not None:
            found = labels_from_presence(self.volume, self.presence)
        if found is None:
            raise SceneError(
                "The segmenter finds no vertebra C1 to C7 in this study; check that it shows a "
                "cervical spine, or predict it first."
            )
        return found


def scene_sources(
    volume: CTVolume,
    fingerprint: str,
    record: StudyRecord | None,
    scores: StudyScores | None,
    segmenter: BundleInfo | None = None,
) -> SceneSources | None:
    """Sources of the surfaces of a study; None without a mask, a segmenter and scores."""
    mask = None if record is None else record.mask_file
    if mask is None and scores is None and segmenter is None:
        return None
    presence = None if scores is None else scores.predictions.vertebra_probs
    lines = None if record is None else lines_file(record)
    return SceneSources(volume, fingerprint, mask, lines, presence, segmenter)
