"""Which bundle predicts vertebra presence and which predicts fractures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from core.errors import BundleError
from core.models.bundles import BundleInfo, list_bundles, read_bundle

DEFAULT_NAMES: Final = {
    "vertebra": "vertebra_type1",
    "fracture": "fracture_type2",
}
"""Shipped networks paired with others by default."""


class BundlePair(NamedTuple):
    """The networks that predict a study together.

    Attributes:
        vertebra: Predicts v_ij and the distribution score: a vertebra bundle, or a fracture bundle
            of Type 3, which scores presence itself. A Type 3 bundle alone fills both places.
        fracture: Predicts f_ij: a fracture bundle, or a localiser with box weights.
        segmenter: Its labels give v_ij instead of `vertebra`; None for none.
    """

    vertebra: BundleInfo
    fracture: BundleInfo
    segmenter: BundleInfo | None = None

    @property
    def presence(self) -> BundleInfo:
        """The bundle that v_ij comes from."""
        return self.segmenter or self.vertebra

    @property
    def bundles(self) -> tuple[BundleInfo, ...]:
        """The networks, that of the presence first."""
        return (*(() if self.segmenter is None else (self.segmenter,)), *self[:2])

    @property
    def digest(self) -> str:
        """16 hex digits that change with weights, preprocessing or name of any network.

        They change with the distribution reference as well, so that predictions stored without a
        distribution score are made again.
        """
        configs = "\n".join(bundle.config.model_dump_json() for bundle in self.bundles)
        if (reference := self.vertebra.reference) is not None:
            configs += f"\n{reference.arrays_sha256} {reference.distance}"
        return hashlib.sha256(configs.encode()).hexdigest()[:16]


def read_pair(vertebra: Path, fracture: Path, segmenter: Path | None = None) -> BundlePair:
    """Read the bundles of a pair from their folders.

    Raises:
        BundleError: As for `read_bundle`.
    """
    labels = None if segmenter is None else read_bundle(segmenter)
    return BundlePair(read_bundle(vertebra), read_bundle(fracture), labels)


def choose_pair(checkpoints: Path, folders: Sequence[Path] = ()) -> BundlePair:
    """Take the named bundles, and choose a suitable one for a place that is left open.

    - No fracture bundle is named: the named localiser if it has box weights; otherwise the default
      one of `checkpoints`, a localiser before a fracture network.
    - No vertebra bundle is named: for fracture Type 3, that bundle itself, whose v_ij were trained
      together with its f_ij. For Type 2, the bundle it was trained with, next to it or in
      `checkpoints`, if present. Otherwise the default one.
    - A vertebra bundle is named: it predicts v_ij for any fracture type.
    - A segmenter is named: its labels give v_ij for any fracture type. Neither a segmenter nor a
      vertebra bundle is named: as for `default_pair`.

    Raises:
        BundleError: Two bundles share a task, a folder is not a bundle, or a place stays empty.
    """
    named: dict[str, BundleInfo] = {}
    for folder in folders:
        bundle = read_bundle(folder)
        task, gives = bundle.config.task, bundle.config.facts.gives
        if gives in named:
            raise BundleError(
                f"{folder} and {named[gives].folder} are both {task} bundles; name one vertebra "
                "and one fracture bundle."
            )
        named[gives] = bundle
    boxes = named.get("boxes")
    if boxes is not None and not boxes.config.gives_fractures:
        boxes = None
    fracture = named.get("fractures") or boxes or default_fracture_bundle(checkpoints)
    labels, presence = named.get("labels"), named.get("presence")
    if labels is None and presence is None:
        return default_pair(fracture, checkpoints)
    return BundlePair(presence or vertebra_for(fracture, checkpoints), fracture, labels)


def default_pair(fracture: BundleInfo, checkpoints: Path) -> BundlePair:
    """The networks that a fracture bundle is used with if the user names no others.

    A segmenter's labels say better which slices show which vertebra, but operating points, shipped
    predictions and held-out figures were made with the vertebra networks, so it has to be named.

    Raises:
        BundleError: As for `vertebra_for`.
    """
    return BundlePair(vertebra_for(fracture, checkpoints), fracture)


def vertebra_for(fracture: BundleInfo, checkpoints: Path) -> BundleInfo:
    """The bundle that predicts v_ij for a fracture bundle when the user names none.

    Raises:
        BundleError: A vertebra bundle is needed, but there is none.
    """
    if fracture.config.gives_presence:
        return fracture
    wanted = fracture.config.vertebra_bundle
    if wanted is not None:
        for bundle in [*list_bundles(fracture.folder.parent), *list_bundles(checkpoints)]:
            named_so = wanted in (bundle.config.name, bundle.folder.name)
            if named_so and bundle.config.task == "vertebra":
                return bundle
    return default_bundle(checkpoints, "vertebra")


def default_fracture_bundle(checkpoints: Path) -> BundleInfo:
    """The bundle that predicts fractures when the user names none.

    A localiser with box weights comes first: on the cohort that contexts and thresholds were chosen
    on, it detects fractured vertebrae and patients better than every fracture network.

    Raises:
        BundleError: There is none.
    """
    found = preferred_fracture_bundle(list_bundles(checkpoints))
    return found or default_bundle(checkpoints, "fracture")


def preferred_fracture_bundle(bundles: Sequence[BundleInfo]) -> BundleInfo | None:
    """The default among some bundles; None if none of them predicts fractures."""
    able = [bundle for bundle in bundles if bundle.config.gives_fractures]
    boxes = [bundle for bundle in able if bundle.config.gives_boxes]
    known = [bundle for bundle in able if bundle.config.name == DEFAULT_NAMES["fracture"]]
    return next(iter([*boxes, *known, *able]), None)


def default_bundle(checkpoints: Path, task: Literal["vertebra", "fracture"]) -> BundleInfo:
    """The default bundle of a task, or the first by name if that one is missing.

    Raises:
        BundleError: There is none.
    """
    found = [bundle for bundle in list_bundles(checkpoints) if bundle.config.task == task]
    if not found:
        raise BundleError(
            f"{checkpoints} holds no {task} bundle; run `make demo-models` or name one."
        )
    return next((b for b in found if b.config.name == DEFAULT_NAMES[task]), found[0])


def choose_segmenter(checkpoints: Path, folders: Sequence[Path] = ()) -> BundleInfo:
    """Take the named segmentation bundle, else the first of `checkpoints`.

    Raises:
        BundleError: There is none, or a named folder is not a bundle.
    """
    named = [bundle for bundle in map(read_bundle, folders) if bundle.config.gives_labels]
    found = named or find_segmenters(list_bundles(checkpoints))
    if not found:
        raise BundleError(
            f"{checkpoints} holds no segmentation bundle; name one by --bundle, or make one by "
            "`python -m core demo-segmenter`."
        )
    return found[0]


def find_segmenters(bundles: Sequence[BundleInfo]) -> list[BundleInfo]:
    """The segmenters among some bundles."""
    return [bundle for bundle in bundles if bundle.config.gives_labels]


def choose_localizer(checkpoints: Path, folders: Sequence[Path] = ()) -> BundleInfo | None:
    """Take the named localisation bundle, else the first of `checkpoints`, else None.

    Raises:
        BundleError: A named folder is not a bundle.
    """
    named = [bundle for bundle in map(read_bundle, folders) if bundle.config.gives_boxes]
    shipped = [bundle for bundle in list_bundles(checkpoints) if bundle.config.gives_boxes]
    return next(iter([*named, *shipped]), None)
