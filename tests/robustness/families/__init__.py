"""The families of cases, by name; those that import torch last, for the sake of the peaks."""

from __future__ import annotations

from tests.robustness.families import (
    archives,
    byte_mutations,
    checkpoints,
    encodings,
    frames,
    geometry,
    intensity,
    mask_places,
    masks,
    orientation,
    resources,
    study_trees,
    table_writers,
    tables,
    volumes,
)
from tests.robustness.verdicts import Family

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        byte_mutations.FAMILY, geometry.FAMILY, orientation.FAMILY, intensity.FAMILY,
        frames.FAMILY, encodings.FAMILY,
        resources.FAMILY, archives.FAMILY, volumes.MIXTURES, volumes.TREES, volumes.NEIGHBOURS,
        masks.FAMILY, mask_places.FAMILY, tables.CSV, table_writers.FAMILY, study_trees.FAMILY,
        tables.YAML, checkpoints.FAMILY,
    )
}  # fmt: skip
