"""What is known of the studies without asking: labels, headers, quality flags, planted truth."""

from __future__ import annotations

import json
import re
from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.constants import N_VERTEBRAE, VERTEBRAE
from core.dataset.quality import FLAGS
from core.errors import DataRootError
from core.evaluation.tables.attributes import (
    Attribute,
    AttributeSource,
    from_flag,
    from_names,
    from_numbers,
    from_vertebrae,
    frozen,
)
from core.phantom.fracture_kinds import KINDS
from core.phantom.on_demand import CohortSeed, cohort_numbers
from core.phantom.study import plan_study
from core.phantom.visibility import DISPLACED_MM
from core.system.parquet import read_parquet

SPACING_LIMITS_MM: Final = (0.75, 1.25, 2.0)
"""Thin slices for bone, the usual ones, and thick ones."""
TRUTH_FOLDER: Final = "phantom_truth"
_LARGEST_TRUTH: Final = 1 << 20
"""Bytes; a study's truth takes a few thousand."""
_STRATA: Final = ("displaced", "clear", "faint", "hard")
_SYNTHETIC: Final = re.compile(r"SYNTHETIC(\d+)")
_SHARPNESS: Final = (30, 50)
"""Numbers of synthetic kernels from which they count as medium and as sharp."""
_SHARP_WORDS: Final = ("soft", "medium", "sharp")


class PlantedFracture(TypedDict):
    """One planted fracture: C1..C7, kind, largest displacement in mm, stratum ("" if unknown)."""

    vertebra: str
    kind: str
    displacement_mm: float
    stratum: str


@dataclass(frozen=True, slots=True)
class PlantedTruth:
    """Truth of one synthetic study beyond its labels.

    Attributes:
        fractures: Its fractures.
        kernel: Name of the kernel.
        noise_hu: Standard deviation of the noise.
        motion: Whether the person moved.
        quirks: Names of its quality flags.
        spacing_mm: Slice distance; None where it is not kept with the truth.
    """

    fractures: tuple[PlantedFracture, ...]
    kernel: str
    noise_hu: float
    motion: bool
    quirks: tuple[str, ...] = ()
    spacing_mm: float | None = None


def label_attributes(fractured: NDArray[np.bool_]) -> list[Attribute]:
    """Level and number of the fractures, from labels bool (n, 7).

    At vertebra level a group of *Vertebra* holds all vertebrae of that level, fractured or not.
    """
    levels = np.broadcast_to(np.array(VERTEBRAE, dtype=object), fractured.shape)
    vertebra = from_vertebrae("vertebra", "Vertebra", "labels", levels, VERTEBRAE)
    level = replace(vertebra, members=fractured)
    count = fractured.sum(axis=1)
    names = ["" if k == 0 else "one" if k == 1 else "several" for k in count]
    return [level, from_names("fractures", "Fractured vertebrae", "labels", names)]


def index_attributes(studies_parquet: Path, study_ids: NDArray[np.str_]) -> list[Attribute]:
    """Facts of the headers and quality flags from an index, of `study_ids` (n,).

    An index of before a column was there gives the others.

    Raises:
        DataRootError: It cannot be read.
    """
    table = read_parquet(studies_parquet, ["study_id"], DataRootError, "index the data set again")
    table = table.drop_duplicates("study_id").set_index("study_id").reindex(study_ids)
    found: list[Attribute] = []
    for name, key, title, limits, unit in (
        ("z_spacing_mm", "spacing", "Slice spacing", SPACING_LIMITS_MM, "mm"),
        ("thickness_mm", "thickness", "Slice thickness", SPACING_LIMITS_MM, "mm"),
        ("row_mm", "pixel", "Pixel size", (), "mm"),
        ("n_slices", "slices", "Slices", (), ""),
        ("coverage_mm", "coverage", "Coverage", (), "mm"),
    ):
        if name in table:
            values = table[name].to_numpy(np.float64, na_value=np.nan)
            values = np.where(values > 0, values, np.nan)
            found.append(from_numbers(key, title, "headers", values, limits=limits, unit=unit))
    if {"rows", "cols"} <= set(table.columns):
        found.append(from_names("size", "Size of a slice", "headers", _sizes(table)))
    if "kernel" in table:
        found.append(kernel_attribute("headers", table["kernel"].fillna("").astype(str).tolist()))
    for flag in FLAGS:
        if flag.column in table:
            holds = table[flag.column].fillna(value=False).to_numpy(np.bool_)
            key = flag.column.removeprefix("flag_")
            found.append(from_flag(key, flag.title, "quality flags", holds))
    return found


def planted_attributes(truths: Sequence[PlantedTruth | None]) -> list[Attribute]:
    """Facts of synthetic studies from their planted truth; None is a study without one."""
    kinds, moved, strata = (np.full((len(truths), N_VERTEBRAE), "", object) for _ in range(3))
    for k, truth in enumerate(truths):
        for fracture in truth.fractures if truth else ():
            j = VERTEBRAE.index(fracture["vertebra"])
            kinds[k, j] = fracture["kind"].replace("_", " ")
            far = fracture["displacement_mm"] >= DISPLACED_MM
            moved[k, j] = "displaced" if far else "not displaced"
            strata[k, j] = fracture["stratum"]
    every = sorted({kind.replace("_", " ") for shares in KINDS.values() for kind, _ in shares})
    known = [truth is not None for truth in truths]
    noise = np.array([truth.noise_hu if truth else np.nan for truth in truths])
    motion = np.array([bool(truth and truth.motion) for truth in truths])
    spacing = [truth.spacing_mm if truth else None for truth in truths]
    found = [
        from_vertebrae("kind", "Planted kind", "phantom", kinds, every),
        from_vertebrae(
            "displacement", "Displacement", "phantom", moved, ("displaced", "not displaced")
        ),
        from_vertebrae("stratum", "Stratum", "phantom", strata, _STRATA),
        kernel_attribute("phantom", [truth.kernel if truth else "" for truth in truths]),
        from_numbers("noise", "Noise", "phantom", noise, unit="HU"),
        from_flag("motion", "Motion", "phantom", motion & np.array(known)),
        from_numbers(
            "spacing", "Slice spacing", "phantom", np.array(spacing, np.float64),
            limits=SPACING_LIMITS_MM, unit="mm",
        ),
    ]  # fmt: skip
    return found + _quirk_attributes(truths)


def kernel_attribute(source: AttributeSource, names: Sequence[str]) -> Attribute:
    """Kernels by name; those of synthetic studies, which are numbered by sharpness, in words."""
    parts = [_SYNTHETIC.fullmatch(name) for name in names]
    if not any(parts) or sum(map(bool, parts)) != sum(map(bool, names)):
        return from_names("kernel", "Kernel", source, names)
    places = [None if part is None else bisect(_SHARPNESS, int(part[1])) for part in parts]
    words = ["" if place is None else _SHARP_WORDS[place] for place in places]
    found = from_names("kernel", "Kernel", source, words)
    order = [found.groups.index(word) for word in _SHARP_WORDS if word in found.groups]
    groups = tuple(found.groups[k] for k in order)
    return replace(found, groups=groups, members=frozen(found.members[:, order]))


def read_planted(root: Path, study_ids: Sequence[str]) -> list[PlantedTruth | None]:
    """Truth that the generator wrote next to a synthetic data root; None where there is none."""
    return [_planted(root / TRUTH_FOLDER / f"{study_id}.json") for study_id in study_ids]


def draw_planted(
    cohort: CohortSeed, study_ids: Sequence[str], fractured: NDArray[np.bool_]
) -> list[PlantedTruth | None]:
    """The same for a cohort that is not on disk, drawn from its seed without painting it.

    Args:
        cohort: Seed of the cohort.
        study_ids: (n,).
        fractured: bool (n, 7); a drawn fracture that does not show is none.
    """
    places = cohort_numbers(cohort)
    found: list[PlantedTruth | None] = []
    for k, study_id in enumerate(study_ids):
        if study_id not in places:
            found.append(None)
            continue
        plan = plan_study(
            cohort.seed, places[study_id], matrix=cohort.matrix, rsna_like=cohort.rsna_like,
            recipe=cohort.recipe,
        )  # fmt: skip
        fractures = tuple(
            PlantedFracture(
                vertebra=f.vertebra, kind=f.kind, displacement_mm=f.displacement_mm, stratum=""
            )
            for f in plan.fractures
            if fractured[k, VERTEBRAE.index(f.vertebra)]
        )
        kernel = plan.scanner.kernel
        found.append(
            PlantedTruth(
                fractures, kernel.name, kernel.noise_hu, plan.scanner.motion,
                tuple(plan.quirks.flags), plan.grid.slice_mm,
            )
        )  # fmt: skip
    return found


def without_doubles(attributes: Sequence[Attribute]) -> list[Attribute]:
    """Attributes that divide the studies: the first of each key, with at least one group."""
    first: dict[str, Attribute] = {}
    for attribute in attributes:
        if attribute.groups and bool(attribute.members.any()):
            first.setdefault(attribute.key, attribute)
    return [one for one in first.values() if len(one.groups) > 1 or not one.members.all()]


def _planted(path: Path) -> PlantedTruth | None:
    try:
        if path.stat().st_size > _LARGEST_TRUTH:
            return None
        truth = json.loads(path.read_text(encoding="utf-8"))
        scanner: Mapping[str, Any] = truth.get("scanner", {})
        return PlantedTruth(
            fractures=tuple(
                PlantedFracture(
                    vertebra=str(one["vertebra"]), kind=str(one["kind"]),
                    displacement_mm=float(one["displacement_mm"]),
                    stratum=str(one.get("stratum", "")),
                )
                for one in truth["fractures"]
                if one["vertebra"] in VERTEBRAE
            ),
            kernel=str(scanner.get("kernel", "")),
            noise_hu=float(scanner.get("noise_hu", np.nan)),
            motion=bool(scanner.get("motion", False)),
            quirks=tuple(map(str, truth.get("quirks", ()))),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _quirk_attributes(truths: Sequence[PlantedTruth | None]) -> list[Attribute]:
    found: list[Attribute] = []
    for flag in FLAGS:
        key = flag.column.removeprefix("flag_")
        holds = np.array([bool(truth and key in truth.quirks) for truth in truths])
        found.append(from_flag(key, flag.title, "phantom", holds))
    return found


def _sizes(table: pd.DataFrame) -> list[str]:
    pairs = zip(table["rows"].fillna(0), table["cols"].fillna(0), strict=True)
    return [f"{int(rows)} × {int(cols)}" if rows and cols else "" for rows, cols in pairs]
