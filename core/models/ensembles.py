"""The members of an ensemble's bundle: named in it, read from their own bundles, and checked."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from core.errors import BundleError
from core.models.bundles import (
    CONFIG_FILE,
    BundleInfo,
    EnsembleConfig,
    read_bundle,
    read_json_object,
)
from core.models.ensemble_recipe import EnsembleMember


def ensembles_root(var: Path) -> Path:
    """Folder of the ensembles that an installation has saved, one bundle each.

    Args:
        var: Folder of the installation's own data.
    """
    return var / "ensembles"


def new_member(
    bundle: BundleInfo, ensemble: Path, weight: float, quantiles: tuple[float, ...] = ()
) -> EnsembleMember:
    """A bundle as a member of the ensemble in a folder.

    Args:
        bundle: The member.
        ensemble: Folder of the ensemble.
        weight: Weight of the member.
        quantiles: As in `EnsembleMember`.

    Raises:
        BundleError: The bundle predicts no fractures, or is an ensemble itself.
    """
    if isinstance(bundle.config, EnsembleConfig) or not bundle.config.gives_fractures:
        raise BundleError(
            f"{bundle.config.name} cannot be a member of an ensemble; choose networks or "
            "localisers that predict fractures."
        )
    return EnsembleMember(
        name=bundle.config.name,
        folder=Path(os.path.relpath(bundle.folder.absolute(), ensemble.absolute())).as_posix(),
        config_sha256=_config_digest(bundle.folder),
        weight=weight,
        gives_boxes=bundle.config.gives_boxes,
        quantiles=quantiles,
    )


def read_members(ensemble: BundleInfo) -> list[BundleInfo]:
    """Read the members' bundles, in the order of the recipe.

    Raises:
        BundleError: It is no ensemble, or a member is missing or is not the one it was made of.
    """
    if not isinstance(ensemble.config, EnsembleConfig):
        raise BundleError(f"{ensemble.folder} is not an ensemble; name the folder of one.")
    return [_read(ensemble, member) for member in ensemble.config.ensemble.members]


def networks_of(bundle: BundleInfo) -> list[BundleInfo]:
    """The members of an ensemble; the bundle itself for others.

    Raises:
        BundleError: As `read_members`.
    """
    return read_members(bundle) if isinstance(bundle.config, EnsembleConfig) else [bundle]


def _read(ensemble: BundleInfo, member: EnsembleMember) -> BundleInfo:
    folder = Path(os.path.normpath(ensemble.folder.absolute() / member.folder))
    remedy = "restore it or make the ensemble again"
    try:
        found = read_bundle(folder)
    except BundleError as error:
        raise BundleError(
            f"The ensemble {ensemble.config.name} needs {member.name}, but {folder} holds no "
            f"readable bundle; {remedy}."
        ) from error
    if _config_digest(folder) != member.config_sha256:
        raise BundleError(
            f"{folder} has changed since the ensemble {ensemble.config.name} was made of it; "
            f"{remedy}."
        )
    return found


def _config_digest(folder: Path) -> str:
    """Digest of the content of `config.json`, which names the weights' digest."""
    content = read_json_object(folder / CONFIG_FILE)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
