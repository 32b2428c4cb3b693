"""Heat map of the slice on show for a chosen vertebra: the network's own map, or Grad-CAM."""

from __future__ import annotations

from typing import Final

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.constants import VERTEBRAE
from core.errors import CSpineError
from core.inference.study_scores import StudyScores
from core.models.bundles import BundleInfo
from core.models.pairs import BundlePair
from dashboard.background.shelf import Shelf
from dashboard.session import link, state
from dashboard.studies.open_study import OpenStudy
from dashboard.widgets.notices import show_error
from dashboard.widgets.slice_viewer.overlays import HeatOverlay

_HEAT: Final = Shelf[NDArray[np.float32]](64)


def explanation_picker(fracture: BundleInfo) -> str | None:
    """Let the user choose the vertebra whose fracture score is explained; None for none."""
    state.enter_vertebra(VERTEBRAE)
    chosen = st.pills(
        "Line map: where this slice shows a fracture line of"
        if fracture.config.gives_maps
        else "Grad-CAM: which regions of this slice raised the fracture score of",
        VERTEBRAE,
        key=state.EXPLAIN_KEY,
        persist_state="session",
        help="Bright regions raised the score of this vertebra on this slice. A Type 1 network has "
        "one score per slice, so its map is the same for every vertebra.",
    )
    link.show(state.VERTEBRA_QUERY, chosen)
    return chosen


def explanation_layer(
    study: OpenStudy, scores: StudyScores, pair: BundlePair, vertebra: str | None
) -> HeatOverlay | None:
    """Heat map of the slice on show; None if no vertebra is chosen or it cannot be computed."""
    if vertebra is None:
        return None
    index, j = state.current_slice(), VERTEBRAE.index(vertebra)
    presence = scores.predictions.vertebra_probs[index]
    try:
        with st.spinner(f"Computing the map of {vertebra} on slice {index} …"):
            heat = _HEAT.get(
                (study.fingerprint, pair.digest, index, j),
                lambda: _heat(study, pair, index, j, presence),
                owner=study.owner,
            )
    except CSpineError as error:
        show_error(error, icon=":material/neurology:")
        return None
    if not heat.any():
        st.caption(f"No region of slice {index} raised the score of {vertebra}.")
    content = f"{study.fingerprint} {pair.digest} {index} {j}"
    name = "Line map" if pair.fracture.config.gives_maps else "Grad-CAM"
    return HeatOverlay(f"{name} {vertebra}", {index: heat}, content)


def _heat(
    study: OpenStudy, pair: BundlePair, index: int, vertebra: int, presence: NDArray[np.float32]
) -> NDArray[np.float32]:
    # Here because it imports torch, which takes seconds.
    from core.inference.explain import explain_slice

    return explain_slice(study.volume, pair.fracture, index, vertebra, presence=presence).heat
