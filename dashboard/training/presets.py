"""Recipes of the form, from the shipped configs, and presets that people saved by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import yaml

from core.config import PROJECT_ROOT, RunConfig, load_run_config
from core.errors import ConfigError, CSpineError, StorageError
from core.system.atomic_files import write_text
from dashboard.session.settings import settings
from dashboard.training.form_state import first_config
from dashboard.training.run_processes import SUPERVISOR

METHOD: Final = "The method"
RECIPES: Final[dict[str, Path | None]] = {
    METHOD: None,
    "Dense": Path("demo", "fracture_type1.yaml"),
    "Localiser": Path("localization", "mobilenet_v3_large.yaml"),
    "Segmenter": Path("segmentation", "unet3d.yaml"),
}
"""File below `configs/` by name; None for the defaults of `RunConfig`."""
MOST_PRESETS: Final = 200
_NAME: Final = re.compile(r"\w[\w .,+()-]{0,59}")
_OF_PLACE: Final = ("folds", "fold", "loader_workers", "precision", "device")
"""Fields of a shipped config about the machine and the cohort that it was made for."""


def recipe(name: str) -> RunConfig:
    """A recipe's settings, on the data set in use.

    A bundle that a recipe starts from but that this installation lacks is left out, and then the
    backbone is trained.

    Raises:
        ConfigError: The shipped config is missing or damaged.
    """
    file, first = RECIPES[name], first_config()
    if file is None:
        return first
    found = load_run_config(PROJECT_ROOT / "configs" / file)
    changes = {key: getattr(first, key) for key in ("data_root", *_OF_PLACE)}
    named = found.init_from
    start = None if named is None else settings().checkpoints / named.name
    is_there = start is not None and (start / "config.json").is_file()
    changes |= {"init_from": start if is_there else None}
    return found.model_copy(
        update=changes | {"freeze_backbone": found.freeze_backbone and is_there}
    )


def presets() -> dict[str, RunConfig]:
    """The presets by name; a file that cannot be read is left out."""
    found: dict[str, RunConfig] = {}
    for path in sorted(_folder().glob("*.yaml"))[:MOST_PRESETS]:
        try:
            found[path.stem] = load_run_config(path)
        except CSpineError:
            continue
    return found


def save_preset(name: str, config: RunConfig) -> None:
    """Save settings under a name; a preset of the same name is replaced.

    Raises:
        TrainingError: The dashboard is read-only.
        ConfigError: The name is empty, too long or has special characters, or there are too many.
        StorageError: The file cannot be written.
    """
    SUPERVISOR.check_allowed()
    path = _file(name)
    if not path.exists() and len(list(_folder().glob("*.yaml"))) >= MOST_PRESETS:
        raise ConfigError(f"There are {MOST_PRESETS} presets already; delete one first.")
    write_text(path, yaml.safe_dump(config.model_dump(mode="json")))


def delete_preset(name: str) -> None:
    """Delete a preset.

    Raises:
        TrainingError: The dashboard is read-only.
        ConfigError: No preset can have this name.
        StorageError: The file cannot be removed.
    """
    SUPERVISOR.check_allowed()
    try:
        _file(name).unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"The preset cannot be removed ({error.strerror}); check its permissions."
        ) from error


def _file(name: str) -> Path:
    if not _NAME.fullmatch(name) or name in RECIPES:
        raise ConfigError(
            f"{name!r} cannot be the name of a preset; use up to 60 letters, digits and spaces, "
            "and not the name of a recipe."
        )
    return _folder() / f"{name}.yaml"


def _folder() -> Path:
    return settings().cspine_var / "presets"
