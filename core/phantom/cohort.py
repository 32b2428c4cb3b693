"""Write cohorts of synthetic studies in RSNA's layout; resumable."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from core.constants import SYNTHETIC_WARNING, VERTEBRAE
from core.errors import ConfigError, DataRootError, StorageError
from core.phantom.recipe import CLASSIC, DEFAULT_RECIPE, recipe_named
from core.phantom.study import PhantomStudy, make_study
from core.phantom.writer import write_study
from core.system import atomic_files
from core.system.csv_text import frame_csv
from core.system.uids import derived_uid

GENERATOR_VERSION = 2
"""Increase it when the same seed gives other voxels than before."""

MANIFEST = "phantom.json"
STRATA = "strata.csv"
"""How well each fracture shows, one row per fracture, where the recipe measures it."""

WRITTEN = (
    "train_images", "segmentations", "fracture_masks", "phantom_truth", "train.csv",
    "train_bounding_boxes.csv", STRATA, MANIFEST,
)  # fmt: skip
"""Contents of a cohort; the manifest is removed last, so that a removal can be resumed."""

BOX_EVERY = 4
"""One in so many positive studies of an RSNA-like cohort has boxes, as 235 of 961."""

BOX_GAP_SHARE = 0.46
"""Share of those that lack boxes in a run of slices, as 108 of 235."""


def write_cohort(
    out: Path,
    *,
    studies: int,
    seed: int,
    jobs: int | None = None,
    matrix: int = 256,
    rsna_like: bool = False,
    recipe: str = DEFAULT_RECIPE,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Make synthetic studies below `out` in RSNA's layout; finished ones are kept.

    Args:
        out: Data root to fill.
        studies: Number of studies, >= 1.
        seed: Cohort seed; the same seed gives the same bytes of pixels.
        jobs: Processes; None means one per core.
        matrix: Rows and columns of a slice.
        rsna_like: Vary spacing and coverage like the real set, write few masks and boxes, and
            include the real set's quirks; `phantom.json` lists them by study.
        recipe: Name of the distributions, see `recipe.RECIPES`.
        progress: Called with (done, total).

    Returns:
        The StudyInstanceUIDs, sorted.

    Raises:
        ConfigError: `studies`, `seed` or `matrix` is out of range, or there is no such recipe.
        DataRootError: `out` holds other data.
        StorageError: `out` cannot be written.
    """
    if studies < 1 or seed < 0 or not 64 <= matrix <= 1024:
        raise ConfigError(
            f"A cohort needs studies >= 1, seed >= 0 and a matrix of 64 to 1024, but got "
            f"{studies}, {seed} and {matrix}; correct that value."
        )
    settings = {
        "seed": seed,
        "matrix": matrix,
        "rsna_like": rsna_like,
        "recipe": recipe_named(recipe).name,
        "generator_version": GENERATOR_VERSION,
    }
    _check_free(out, settings)
    manifest = {"synthetic": True, "warning": SYNTHETIC_WARNING, **settings}
    if not (out / MANIFEST).exists():
        atomic_files.write_json(out / MANIFEST, manifest)
    uids = cohort_uids(
        studies=studies, seed=seed, matrix=matrix, rsna_like=rsna_like, recipe=recipe
    )
    make = functools.partial(make_study, seed, matrix=matrix, rsna_like=rsna_like, recipe=recipe)
    todo = [k for k, uid in enumerate(uids) if not _truth_file(out, uid).exists()]
    found, report = len(uids) - len(todo), progress or (lambda *_: None)
    report(found, len(uids))
    work = Parallel(n_jobs=jobs or -1, return_as="generator_unordered")(
        delayed(_make_one)(make, k, out, uids[k]) for k in todo
    )
    for made, _ in enumerate(work, start=1):
        report(found + made, len(uids))
    truths = {uid: json.loads(_truth_file(out, uid).read_text()) for uid in uids}
    every = {uid: truth["boxes"] for uid, truth in truths.items()}
    boxed = _boxes_like_rsna(truths, seed) if rsna_like else every
    _write_tables(out, truths, boxed)
    if recipe_named(recipe).fractures is not None:
        _write_strata(out, truths)
    if rsna_like:
        planted = {uid: truths[uid]["quirks"] for uid in sorted(uids) if truths[uid]["quirks"]}
        complete = json.dumps(manifest | {"quirks": planted}, indent=2) + "\n"
        atomic_files.keep_text(out / MANIFEST, complete)
    return sorted(uids)


def cohort_uids(
    *,
    studies: int,
    seed: int,
    matrix: int = 256,
    rsna_like: bool = False,
    recipe: str = DEFAULT_RECIPE,
) -> list[str]:
    """StudyInstanceUIDs of a cohort in the order of the studies' numbers, without making it."""
    kind = ("rsna-like",) if rsna_like else ()
    # Classic studies keep the ids that they had before there were recipes.
    kind += () if recipe == CLASSIC.name else (recipe,)
    return [
        str(derived_uid("phantom", GENERATOR_VERSION, seed, matrix, k, *kind))
        for k in range(studies)
    ]


def discard_outdated(out: Path, recipe: str = DEFAULT_RECIPE) -> bool:
    """Remove a cohort that an earlier generator or another recipe wrote, and nothing else.

    Args:
        out: Data root, of a cohort or not.
        recipe: Name of the recipe that the cohort should have.

    Returns:
        Whether an outdated cohort was removed.

    Raises:
        StorageError: The cohort cannot be removed.
    """
    try:
        found = json.loads((out / MANIFEST).read_text())
    except (OSError, ValueError):
        return False
    generated = isinstance(found, dict) and found.get("synthetic") is True
    version = found.get("generator_version") if generated else None
    same = isinstance(found, dict) and found.get("recipe", CLASSIC.name) == recipe
    if not isinstance(version, int) or (same and version >= GENERATOR_VERSION):
        return False
    try:
        for name in WRITTEN:
            path = out / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"{out} holds synthetic studies of an earlier generator or another recipe that cannot "
            f"be removed ({error.strerror}); delete the folder."
        ) from error
    return True


def _make_one(make: Callable[[int], PhantomStudy], index: int, out: Path, uid: str) -> None:
    write_study(make(index), out, uid)


def _truth_file(out: Path, uid: str) -> Path:
    return out / "phantom_truth" / f"{uid}.json"


def _check_free(out: Path, settings: dict[str, Any]) -> None:
    manifest = out / MANIFEST
    if manifest.exists():
        found = json.loads(manifest.read_text())
        # Cohorts of before there were recipes name none.
        found = {"recipe": CLASSIC.name} | found
        if {k: found.get(k) for k in settings} != settings:
            raise DataRootError(
                f"{out} holds a synthetic cohort of another seed, matrix, kind, recipe or "
                "generator; choose another folder or remove it."
            )
    elif out.exists() and any(out.iterdir()):
        raise DataRootError(
            f"{out} holds files that this generator did not write; choose an empty folder."
        )


def _boxes_like_rsna(
    truths: dict[str, dict[str, Any]], seed: int
) -> dict[str, list[list[int]]]:  # fmt: skip
    """Boxes of a quarter of the positive studies, including those with masks; some have gaps.

    Args:
        truths: Truth by study id in order of number, so that a growing cohort keeps its boxes.
        seed: Cohort seed.
    """
    positive = [uid for uid, truth in truths.items() if truth["boxes"]]
    boxed: dict[str, list[list[int]]] = {}
    for k, uid in enumerate(positive):
        if k % BOX_EVERY == 0 or truths[uid]["has_mask"]:
            rng = np.random.default_rng([seed, k, 4])
            boxes = truths[uid]["boxes"]
            if rng.uniform() < BOX_GAP_SHARE and len(boxes) >= 4:
                first = int(rng.integers(1, len(boxes) - 2))
                boxes = boxes[:first] + boxes[first + int(rng.integers(1, 3)) :]
            boxed[uid] = boxes
    return boxed


def _write_tables(
    out: Path, truths: dict[str, dict[str, Any]], boxed: dict[str, list[list[int]]]
) -> None:
    uids: Iterable[str] = sorted(truths)
    labels: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for uid in uids:
        values = truths[uid]["labels"]
        row = dict(zip(VERTEBRAE, values, strict=True))
        labels.append({"StudyInstanceUID": uid, "patient_overall": max(values), **row})
        for number, x0, y0, x1, y1 in boxed.get(uid, ()):
            box = {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}
            boxes.append({"StudyInstanceUID": uid, **box, "slice_number": number})
    columns = ["StudyInstanceUID", "x", "y", "width", "height", "slice_number"]
    atomic_files.keep_text(out / "train.csv", frame_csv(pd.DataFrame(labels)))
    frame = pd.DataFrame(boxes, columns=columns)
    atomic_files.keep_text(out / "train_bounding_boxes.csv", frame_csv(frame))


def _write_strata(out: Path, truths: dict[str, dict[str, Any]]) -> None:
    """Write one row per fracture with its stratum; readers of RSNA's layout pass the file over."""
    columns = [
        "StudyInstanceUID", "vertebra", "kind", "stratum", "cnr", "gap_px", "gap_mm",
        "displacement_mm", "slices",
    ]  # fmt: skip
    rows = [
        {"StudyInstanceUID": uid, **fracture, "gap_mm": max(fracture["gap_mm"], default=0.0)}
        for uid in sorted(truths)
        for fracture in truths[uid]["fractures"]
    ]
    atomic_files.keep_text(out / STRATA, frame_csv(pd.DataFrame(rows, columns=columns)))
