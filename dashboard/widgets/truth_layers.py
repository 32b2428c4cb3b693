"""What a data root knows of a study, as layers over its slices."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.dataset.masks import load_vertebra_mask
from core.dataset.rsna import lines_file
from core.dataset.true_boxes import boxes_on_volume
from core.types import CTVolume, StudyRecord
from dashboard.studies.open_study import OpenStudy
from dashboard.widgets.slice_viewer import (
    Overlay,
    fracture_mask,
    true_boxes,
    vertebra_mask,
)


class LazyMask:
    """A mask that is read when its first slice is asked for, and once only."""

    def __init__(self, path: Path, volume: CTVolume) -> None:
        self._path, self._volume = path, volume
        self._labels: NDArray[np.uint8] | None = None
        self._lock = Lock()

    def __call__(self) -> NDArray[np.uint8]:
        """uint8 (z, y, x) on the study's grid.

        Raises:
            DataRootError: The file cannot be used.
        """
        with self._lock:
            if self._labels is None:
                self._labels = load_vertebra_mask(self._path, self._volume)
            return self._labels


def truth_layers(study: OpenStudy, record: StudyRecord | None, *, reveal: bool) -> list[Overlay]:
    """Vertebrae where there is a mask; what shows the fracture only where it may be revealed.

    Args:
        study: On show.
        record: Its entry in the data set; None gives no layer.
        reveal: Whether boxes and fracture lines are shown too.
    """
    if record is None:
        return []
    layers: list[Overlay] = []
    if record.mask_file is not None:
        mask = _mask(str(record.mask_file), study.fingerprint, study.volume)
        layers.append(vertebra_mask(mask, study.fingerprint, shown=False))
    if not reveal:
        return layers
    lines = lines_file(record)
    if lines is not None:
        mask = _mask(str(lines), study.fingerprint, study.volume)
        layers.append(fracture_mask(mask, study.fingerprint))
    if record.boxes:
        layers.append(true_boxes(boxes_on_volume(record.boxes, study.volume)))
    return layers


@st.cache_resource(max_entries=6, show_spinner=False)
def _mask(path: str, fingerprint: str, _volume: CTVolume) -> LazyMask:
    del fingerprint
    return LazyMask(Path(path), _volume)
