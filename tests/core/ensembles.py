"""Writes the bundle of an ensemble from its parts."""

import hashlib

from core.models.bundles import EnsembleConfig, read_bundle
from core.models.ensemble_recipe import EnsembleRecipe
from core.models.ensembles import new_member
from core.system.atomic_files import write_text


def write_ensemble(folder, members, weights, method="log_odds", **more):
    """A log-odds mean of the bundles in some folders, with `vertebra-untrained` as its partner."""
    bundles = [read_bundle(member) for member in members]
    recipe = EnsembleRecipe(
        method=method,
        members=tuple(new_member(b, folder, w) for b, w in zip(bundles, weights, strict=True)),
        **more,
    )
    first = bundles[0].config
    config = EnsembleConfig(
        name=folder.name, task="fracture", type=2, backbone=first.backbone,
        preparation=first.preparation, vertebra_bundle="vertebra-untrained",
        weights_sha256=hashlib.sha256(recipe.model_dump_json().encode()).hexdigest(),
        parameters=1, trained_on={}, created="2026-01-01T00:00:00+00:00", ensemble=recipe,
    )  # fmt: skip
    write_text(folder / "config.json", config.model_dump_json())
