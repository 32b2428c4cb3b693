"""Choice of the vertebra and the fracture network."""

from __future__ import annotations

import streamlit as st

from core.models.bundles import BundleInfo
from core.models.pairs import (
    BundlePair,
    default_pair,
    find_segmenters,
    preferred_fracture_bundle,
    vertebra_for,
)
from dashboard.session import link, state
from dashboard.session.settings import settings
from dashboard.studies.bundle_figures import headline
from dashboard.studies.cohort import all_bundles, bundle_key, bundle_title, usable_bundles
from dashboard.studies.localizer import BOXES_KEY, localizers


def bundle_picker() -> BundlePair | None:
    """Let the user choose a bundle for each task; None if one is missing.

    Raises:
        LinkError: The URL names a bundle that does not exist.
    """
    known = usable_bundles()
    fracture = [bundle for bundle in known if bundle.config.gives_fractures]
    found = {
        "vertebra": [bundle for bundle in known if bundle.config.task == "vertebra"],
        "fracture": fracture,
    }
    missing = [task for task, available in found.items() if not available]
    if missing:
        st.info(
            f"No {' and no '.join(missing)} bundle was found, so slices can be seen but not "
            "scored. `make demo-models` trains both networks on synthetic studies.",
            icon=":material/neurology:",
        )
        return None
    with st.container(key="bundles", horizontal=True, vertical_alignment="bottom"):
        # A fracture network of Type 3 scores presence itself, so it can stand in both places.
        presence = [
            *found["vertebra"],
            *(bundle for bundle in fracture if bundle.config.gives_presence),
            *find_segmenters(known),
        ]
        default = preferred_fracture_bundle(all_bundles()) or fracture[0]
        usual = default_pair(default, settings().checkpoints).presence
        seeing = _choose("Vertebra network", "vertebra", presence, bundle_key(usual))
        chosen = _choose("Fracture network", "fracture", fracture, bundle_key(default))
        _choose_localizer()
    if not seeing.config.gives_labels:
        return BundlePair(seeing, chosen)
    return BundlePair(vertebra_for(chosen, settings().checkpoints), chosen, seeing)


def _choose_localizer() -> None:
    """Let the user choose whose boxes are drawn, if there are several localisers."""
    known = {bundle_key(bundle): bundle for bundle in localizers()}
    link.check_one_of(BOXES_KEY, known, "the list of localisers")
    if len(known) < 2:
        return
    link.choose(
        BOXES_KEY, BOXES_KEY, lambda text: text if text in known else None, next(iter(known))
    )
    if state.recall(BOXES_KEY) not in known:
        state.remember(BOXES_KEY, next(iter(known)))
    chosen = st.selectbox(
        "Boxes by", list(known), format_func=lambda key: bundle_title(known[key]), key=BOXES_KEY,
        persist_state="session",
    )  # fmt: skip
    link.show(BOXES_KEY, chosen)


def _choose(label: str, task: str, available: list[BundleInfo], default: str) -> BundleInfo:
    by_name = {bundle_key(bundle): bundle for bundle in available}
    key, name = f"{task}_bundle", f"{task}_network"
    link.check_one_of(name, by_name, f"the list of {task} networks")
    link.choose(key, name, lambda text: text if text in by_name else None, default)
    if state.recall(key) not in by_name:
        state.remember(key, next(iter(by_name)))
    chosen = st.selectbox(
        label,
        list(by_name),
        format_func=lambda name: _label(by_name[name]),
        key=key,
        persist_state="session",
    )
    link.show(name, chosen)
    return by_name[chosen]


def _label(bundle: BundleInfo) -> str:
    if bundle.config.gives_labels:
        return f"Labels of the segmenter ({bundle_title(bundle)})"
    if bundle.config.gives_boxes:
        return f"Boxes of the localiser ({bundle.config.name})"
    figure = headline(bundle)
    suffix = "" if figure is None else f" · {figure.name} {figure.value:.3f}"
    return f"{bundle_title(bundle)} · {bundle.config.built_as}{suffix}"
