"""Vertebrae that the shipped segmenter labels in an open study."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.models.bundles import BundleInfo
from core.visualization.labels import labels_from_segmenter
from dashboard.background.shelf import Shelf
from dashboard.studies.open_study import OpenStudy
from dashboard.studies.predictions import prediction_slot

_LABELS: Final = Shelf[NDArray[np.uint8]](4)


def predicted_vertebrae(study: OpenStudy, segmenter: BundleInfo) -> NDArray[np.uint8]:
    """Labels of a study, uint8 (z, y, x), 1 to 7 for C1 to C7; from memory if they were made.

    Making them takes about a second per 100 slices.

    Args:
        study: The study.
        segmenter: A segmentation bundle.

    Raises:
        BundleError: The bundle cannot be used.
    """

    def make() -> NDArray[np.uint8]:
        with prediction_slot("vertebrae", lambda: None):
            found = labels_from_segmenter(study.volume, segmenter)
        labels = np.zeros(study.volume.hu.shape, np.uint8) if found is None else found.labels
        labels.setflags(write=False)
        return labels

    key = study.fingerprint, segmenter.config.weights_sha256
    return _LABELS.get(key, make, owner=study.owner)
