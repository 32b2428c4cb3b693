"""Vertebra detection: which of C1..C7 a slice shows."""

from __future__ import annotations

from torch import Tensor

from core.models.slice_model import ImageModel, JoinedModel
from core.preprocessing.metadata import N_METADATA


class VertebraDetectorType1(ImageModel):
    """Image to seven presence logits."""


class VertebraDetectorType2(JoinedModel):
    """Image and metadata to seven presence logits."""

    VALUES = N_METADATA

    def forward(
        self, images: Tensor, metadata: Tensor | None = None, presence: Tensor | None = None
    ) -> Tensor:
        """Logits of v_ij, float (n, 7); `presence` is not used.

        Raises:
            ValueError: `metadata` is missing.
        """
        del presence
        if metadata is None:
            raise ValueError("A Type 2 vertebra model needs metadata, float32 (n, 3).")
        return self.joined(images, metadata)
