"""A localiser's boxes of a whole generated cohort, with the truth."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.constants import VERTEBRAE
from core.dataset.masks import load_vertebra_mask
from core.dicom.series import read_series
from core.evaluation.detection.files import BoxTables, true_box_table
from core.models.bundles import BundleInfo, read_bundle
from core.prepared.box_slices import load_box_slices
from core.preprocessing.box_geometry import boxes_from_square
from core.system.parallel import Workers, run_over
from core.types import Progress, RawDetections, Store, StudyRecord

if TYPE_CHECKING:
    from core.inference.boxes.predictor import BoxPredictor

Xyxy = list[float]


@dataclass(frozen=True, slots=True, eq=False)
class _StudyBoxes:
    """Raw boxes of a study, and its true boxes by slice with the vertebrae and kinds of each."""

    raw: RawDetections
    true_boxes: tuple[tuple[int, Xyxy], ...]
    vertebrae: tuple[str, ...]
    kinds: tuple[str, ...]


def localize_cohort(
    bundle: BundleInfo,
    root: Path,
    records: Sequence[StudyRecord],
    store: Store,
    *,
    jobs: int | None = 1,
    progress: Progress | None = None,
) -> BoxTables:
    """Run a localiser over studies of a generated cohort.

    Args:
        bundle: The localiser.
        root: Data root of the cohort, with the generator's truth next to RSNA's files.
        records: The studies, in the order of the result.
        store: Store of prepared slices.
        jobs: Number of processes; None: one per core.
        progress: Called with (studies done, total studies).

    Raises:
        CSpineError: A study cannot be read.
    """
    read = functools.partial(_read_one, bundle.folder, root, store)
    found: dict[str, _StudyBoxes] = {}
    for outcome in run_over(read, records, workers=Workers(jobs), progress=progress):
        if outcome.error is not None:
            raise outcome.error
        if outcome.value is not None:
            found[outcome.item.study_id] = outcome.value
    studies = [found[record.study_id] for record in records]
    return BoxTables(
        raw=tuple(study.raw for study in studies),
        truth=true_box_table(
            [
                (number, index, xyxy)
                for number, study in enumerate(studies)
                for index, xyxy in study.true_boxes
            ]
        ),
        vertebrae=tuple(name for study in studies for name in study.vertebrae),
        kinds=tuple(kind for study in studies for kind in study.kinds),
    )


def _read_one(bundle: Path, root: Path, store: Store, record: StudyRecord) -> _StudyBoxes:
    predictor, info = _predictor(bundle)
    study = load_box_slices(record, info.config.preparation, store=store)
    known = _kinds(root, record) if study.boxes else {}
    boxes: list[tuple[int, Xyxy]] = []
    size = info.config.preparation.size
    names: list[tuple[str, str]] = []
    for index in sorted(study.boxes):
        on_slice = boxes_from_square(study.boxes[index], study.squares[index], size)
        boxes += [(index, xyxy.tolist()) for xyxy in on_slice]
        names += [known.get(index, ("", ""))] * len(on_slice)
    return _StudyBoxes(
        raw=predictor.predict_prepared(study),
        true_boxes=tuple(boxes),
        vertebrae=tuple(name for name, _ in names),
        kinds=tuple(kind for _, kind in names),
    )


@functools.lru_cache(maxsize=1)
def _predictor(bundle: Path) -> tuple[BoxPredictor, BundleInfo]:
    """Load the network once per process."""
    from core.inference.boxes.predictor import BoxPredictor

    info = read_bundle(bundle)
    return BoxPredictor([info], device="cpu"), info


def _kinds(root: Path, record: StudyRecord) -> dict[int, tuple[str, str]]:
    """By slice, the vertebrae whose fracture lines cross it and the kinds of those fractures.

    Empty where the generator's truth is missing, as for scanned studies.
    """
    file = root / "phantom_truth" / f"{record.study_id}.json"
    if not file.is_file():
        return {}
    truth = json.loads(file.read_text())
    lines = load_vertebra_mask(
        root / "fracture_masks" / f"{record.study_id}.nii.gz",
        read_series(record.folder),
        on_bone=False,
    )
    found: dict[int, tuple[str, str]] = {}
    for index, labels in enumerate(lines):
        fractured = [VERTEBRAE[label - 1] for label in np.unique(labels) if 1 <= label <= 7]
        kinds = {str(one["kind"]) for one in truth["fractures"] if one["vertebra"] in fractured}
        if fractured:
            found[index] = ("+".join(fractured), "+".join(sorted(kinds)))
    return found
