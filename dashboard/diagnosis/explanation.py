"""Grad-CAM of the slice and vertebra that the reader asks for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.constants import VERTEBRAE
from core.errors import CSpineError
from core.inference.study_scores import StudyScores
from core.models.bundles import read_bundle
from core.models.pairs import BundlePair
from dashboard.session import state
from dashboard.studies.open_study import OpenStudy
from dashboard.widgets.notices import show_error
from dashboard.widgets.slice_viewer import HeatOverlay, heat_map


def explanation_picker() -> str | None:
    """Let the reader choose the vertebra whose fracture score is explained; None for none."""
    state.enter_vertebra(VERTEBRAE)
    chosen = st.pills(
        "Grad-CAM: where did the fracture network look on this slice, for",
        VERTEBRAE,
        key=state.EXPLAIN_KEY,
        persist_state="session",
        help="Bright regions raised the score of this vertebra on this slice. A Type 1 network has "
        "one score a slice, so its map is the same for every vertebra.",
    )
    state.show_vertebra_in_url(chosen)
    return chosen


def explanation_layer(
    study: OpenStudy, reading: StudyScores, pair: BundlePair, vertebra: str | None
) -> HeatOverlay | None:
    """The heat map of the slice on show; None where none is asked for or it cannot be made."""
    if vertebra is None:
        return None
    index, j = state.current_slice(), VERTEBRAE.index(vertebra)
    presence = reading.predictions.vertebra_probs[index]
    bundle = pair.fracture
    try:
        with st.spinner(f"Asking the network about {vertebra} on slice {index} …"):
            heat = _heat(
                study.fingerprint, str(bundle.folder), pair.digest, index, j, study, presence
            )
    except CSpineError as error:
        show_error(error, icon=":material/neurology:")
        return None
    if not heat.any():
        st.caption(f"Nothing on slice {index} raised the score of {vertebra}.")
    content = f"{study.fingerprint} {pair.digest} {index} {j}"
    return heat_map({index: heat}, content, name=f"Grad-CAM {vertebra}")


@st.cache_resource(max_entries=64, show_spinner=False)
def _heat(
    fingerprint: str,
    bundle: str,
    digest: str,
    index: int,
    vertebra: int,
    _study: OpenStudy,
    _presence: NDArray[np.float32],
) -> NDArray[np.float32]:
    del fingerprint, digest
    # Here because it imports torch, which takes seconds.
    from core.inference.explain import explain_slice

    return explain_slice(
        _study.volume, read_bundle(Path(bundle)), index, vertebra, presence=_presence
    ).heat
