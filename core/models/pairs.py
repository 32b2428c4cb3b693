"""Which vertebra bundle and which fracture bundle work together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from core.errors import BundleError
from core.models.bundles import BundleInfo, list_bundles, read_bundle

DEFAULT_NAMES: Final = {
    "vertebra": "vertebra_type1_googlenet",
    "fracture": "fracture_type1_googlenet",
}
"""Taken where the user names none: the shipped pair, chosen on the validation fold."""


class BundlePair(NamedTuple):
    """The two networks that read a study together."""

    vertebra: BundleInfo
    fracture: BundleInfo

    @property
    def digest(self) -> str:
        """16 hex digits that change with weights, preprocessing or names of either network."""
        configs = "\n".join(bundle.config.model_dump_json() for bundle in self)
        return hashlib.sha256(configs.encode()).hexdigest()[:16]


def choose_pair(checkpoints: Path, folders: Sequence[Path] = ()) -> BundlePair:
    """Take the named bundles; where a task is not named, the default one of `checkpoints`.

    Raises:
        BundleError: Two bundles share a task, a folder is no bundle, or a task has none.
    """
    named: dict[str, BundleInfo] = {}
    for folder in folders:
        bundle = read_bundle(folder)
        if bundle.config.task in named:
            raise BundleError(
                f"{folder} and {named[bundle.config.task].folder} are both {bundle.config.task} "
                "bundles; name one vertebra and one fracture bundle."
            )
        named[bundle.config.task] = bundle
    return BundlePair(
        named.get("vertebra") or default_bundle(checkpoints, "vertebra"),
        named.get("fracture") or default_bundle(checkpoints, "fracture"),
    )


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
