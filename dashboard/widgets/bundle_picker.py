"""Choice of the vertebra and the fracture network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

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
from dashboard.studies.bundle_figures import headline, patient_auc
from dashboard.studies.cohort import (
    all_bundles,
    bundle_detail,
    bundle_key,
    bundle_title,
    usable_bundles,
)
from dashboard.studies.localizer import BOXES_KEY, localizers


@dataclass(frozen=True, slots=True)
class BundlePicker:
    """The chosen networks, and the pickers to choose others.

    Attributes:
        pair: The chosen networks.
        pickers: One for each choice that there is.
    """

    pair: BundlePair
    pickers: tuple[_Choice, ...]

    def draw(self) -> None:
        """Draw the pickers behind a button that names the chosen ones."""
        with st.popover(
            _pair_label(self.pair), key="networks_popover", icon=":material/neurology:",
            help="The networks that score the study",
        ):  # fmt: skip
            for one in self.pickers:
                one.draw()


def bundle_picker(messages: DeltaGenerator) -> BundlePicker | None:
    """The networks that are chosen, by the user or the URL; None if there are not enough.

    Args:
        messages: Container for what is missing.

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
        messages.info(
            f"No {' and no '.join(missing)} bundle was found, so slices can be seen but not "
            "scored. `make demo-models` trains both networks on synthetic studies.",
            icon=":material/neurology:",
        )
        return None
    # A fracture network of Type 3 scores presence itself, so it can stand in both places.
    presence = [
        *found["vertebra"],
        *(bundle for bundle in fracture if bundle.config.gives_presence),
        *find_segmenters(known),
    ]
    default = preferred_fracture_bundle(all_bundles()) or fracture[0]
    usual = default_pair(default, settings().checkpoints).presence
    scores = _Choice("Fracture network", "fracture_network", *_NAMED["fracture"], fracture)
    levels = _Choice("Vertebra network", "vertebra_network", *_NAMED["vertebra"], presence)
    boxes = _Choice("Boxes by", BOXES_KEY, BOXES_KEY, "the list of localisers", localizers())
    pair = _pair(levels.enter(bundle_key(usual)), scores.enter(bundle_key(default)))
    boxes.check()
    several = len(boxes.bundles) > 1
    if several:
        boxes.enter(bundle_key(boxes.bundles[0]))
    return BundlePicker(pair, (scores, levels, boxes) if several else (scores, levels))


_NAMED: Final = {
    "fracture": ("fracture_bundle", "the list of fracture networks"),
    "vertebra": ("vertebra_bundle", "the list of vertebra networks"),
}
"""Key of the picker of each task, and what its bundles are listed in."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """A picker of one bundle: its label, query parameter, key, the list in words, the bundles."""

    label: str
    name: str
    key: str
    listed: str
    bundles: list[BundleInfo]

    def check(self) -> None:
        """Check the link.

        Raises:
            LinkError: The URL names a bundle that does not exist.
        """
        link.check_one_of(self.name, self._by_name(), self.listed)

    def enter(self, default: str) -> BundleInfo:
        """The bundle on show: the chosen one, else that in the URL, else the default.

        Args:
            default: Name of the default.

        Raises:
            LinkError: The URL names a bundle that does not exist.
        """
        self.check()
        known = self._by_name()
        link.choose(self.key, self.name, lambda text: text if text in known else None, default)
        if state.recall(self.key) not in known:
            state.remember(self.key, next(iter(known)))
        return known[state.recall(self.key)]

    def draw(self) -> None:
        """Draw the picker, and make the URL a link to the choice."""
        known = self._by_name()
        chosen = st.selectbox(
            self.label, list(known), format_func=lambda name: _label(known[name]), key=self.key,
            persist_state="session", width=470,
        )  # fmt: skip
        link.show(self.name, chosen)

    def _by_name(self) -> dict[str, BundleInfo]:
        return {bundle_key(bundle): bundle for bundle in self.bundles}


def _pair(seeing: BundleInfo, chosen: BundleInfo) -> BundlePair:
    """The networks: the labels of a segmenter stand for the presence of a vertebra network."""
    if not seeing.config.gives_labels:
        return BundlePair(seeing, chosen)
    return BundlePair(vertebra_for(chosen, settings().checkpoints), chosen, seeing)


def _pair_label(pair: BundlePair) -> str:
    """Short names of both networks, the one with the verdict first."""
    names = dict.fromkeys(bundle_title(bundle) for bundle in (pair.fracture, pair.presence))
    return " · ".join(names)


def _label(bundle: BundleInfo) -> str:
    """Name of a bundle, with its technical name and its main figure as detail."""
    figure = patient_auc(bundle) or headline(bundle)
    parts = [bundle_title(bundle), bundle_detail(bundle)]
    if figure is not None:
        parts.append(f"{figure.name} {figure.value:.3f}")
    return " · ".join(parts)
