"""Vertebra masks on the grid of an open study."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.types import CTVolume
from dashboard.studies.cohort import files_signature
from dashboard.studies.confined import read_mask
from dashboard.studies.open_study import OpenStudy


def mask_of(path: Path, study: OpenStudy) -> NDArray[np.uint8]:
    """A mask on the grid of a study, uint8 (z, y, x), from memory if it was read before.

    Raises:
        DataRootError: The mask cannot be read.
    """
    return _mask(str(path), files_signature(path) + study.fingerprint, study.volume)


@st.cache_resource(max_entries=6, show_spinner=False)
def _mask(path: str, signature: str, _volume: CTVolume) -> NDArray[np.uint8]:
    del signature
    mask = read_mask(Path(path), _volume)
    mask.setflags(write=False)
    return mask
