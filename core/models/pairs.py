"""Which bundle gives vertebra presence and which gives fractures."""

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
"""The shipped networks that stand beside others: a vertebra network's partner and the reverse."""


class BundlePair(NamedTuple):
    """The networks that read a study together.

    Attributes:
        vertebra: Gives v_ij: a vertebra bundle, or a fracture bundle of Type 3, which scores
            presence itself. A Type 3 bundle alone stands in both places.
        fracture: Gives f_ij: a fracture bundle, or a localiser whose boxes are evidence.
    """

    vertebra: BundleInfo
    fracture: BundleInfo

    @property
    def digest(self) -> str:
        """16 hex digits that change with weights, preprocessing or names of either network."""
        configs = "\n".join(bundle.config.model_dump_json() for bundle in self)
        return hashlib.sha256(configs.encode()).hexdigest()[:16]


def choose_pair(checkpoints: Path, folders: Sequence[Path] = ()) -> BundlePair:
    """Take the named bundles, and find a fitting one for a place that is left open.

    - No fracture bundle is named: the named localiser where its boxes can judge; otherwise the
      default one of `checkpoints`, a localiser before a fracture network.
    - No vertebra bundle is named: with fracture Type 3, that bundle itself, whose own v_ij were
      learnt together with its f_ij. With Type 2, the bundle it was trained with, beside it or in
      `checkpoints`, where it is there. Otherwise the default one.
    - A vertebra bundle is named: it gives v_ij whatever the fracture type.

    Raises:
        BundleError: Two bundles share a task, a folder is no bundle, or a place cannot be filled.
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
    fracture = named.get("fractures") or boxes or default_judge(checkpoints)
    return BundlePair(named.get("presence") or vertebra_for(fracture, checkpoints), fracture)


def vertebra_for(fracture: BundleInfo, checkpoints: Path) -> BundleInfo:
    """The bundle that gives v_ij beside a fracture bundle when the user names none.

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


def default_judge(checkpoints: Path) -> BundleInfo:
    """The bundle that judges a study when the user names none.

    A localiser whose boxes can judge comes first: on the cohort that contexts and thresholds were
    chosen on, it tells fractured vertebrae and patients better than every fracture network.

    Raises:
        BundleError: There is none.
    """
    judge = preferred_judge(list_bundles(checkpoints))
    return judge or default_bundle(checkpoints, "fracture")


def preferred_judge(bundles: Sequence[BundleInfo]) -> BundleInfo | None:
    """The one of some bundles that `default_judge` takes; None where none can judge."""
    judges = [bundle for bundle in bundles if bundle.config.gives_fractures]
    boxes = [bundle for bundle in judges if bundle.config.gives_boxes]
    known = [bundle for bundle in judges if bundle.config.name == DEFAULT_NAMES["fracture"]]
    return next(iter([*boxes, *known, *judges]), None)


def default_bundle(checkpoints: Path, task: Literal["vertebra", "fracture"]) -> BundleInfo:
    """The default bundle of a task, or the first by name where that one is not there.

    Raises:
        BundleError: There is none.
    """
    found = [bundle for bundle in list_bundles(checkpoints) if bundle.config.task == task]
    if not found:
        raise BundleError(
            f"{checkpoints} holds no {task} bundle; run `make demo-models` or name one."
        )
    return next((b for b in found if b.config.name == DEFAULT_NAMES[task]), found[0])


def choose_localizer(checkpoints: Path, folders: Sequence[Path] = ()) -> BundleInfo | None:
    """Take the named localisation bundle, else the first of `checkpoints`; None without one.

    Raises:
        BundleError: A named folder is no bundle.
    """
    named = [bundle for bundle in map(read_bundle, folders) if bundle.config.gives_boxes]
    shipped = [bundle for bundle in list_bundles(checkpoints) if bundle.config.gives_boxes]
    return next(iter([*named, *shipped]), None)
