"""What the networks make of real scans: presence, boxes, calls, distribution score.

A few scans without a fracture show where networks fail; they give no sensitivity or specificity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.constants import VERTEBRAE
from core.dataset.csv_reader import numbers, read_table
from core.dicom.series import read_series
from core.errors import DataRootError
from core.experiments.presence_auc import presence_auc
from core.experiments.real_segmentation import SegmenterCheck, check_segmenter
from core.inference.boxes.predictor import BoxPredictor
from core.inference.boxes.study_scores import load_predictor
from core.inference.segmentation import SegmentationPredictor
from core.inference.study_scores import score_study
from core.inference.verdict import StudyVerdict, judge
from core.models.bundles import list_bundles
from core.models.pairs import (
    BundlePair,
    choose_localizer,
    choose_pair,
    default_pair,
    find_segmenters,
)
from core.types import CTVolume, Progress

LEVELS_TABLE: Final = "levels.csv"


@dataclass(frozen=True, slots=True)
class NetworkCheck:
    """One pair of networks on one scan.

    Attributes:
        name: Name of the fracture bundle or localiser.
        vertebra: Name of the bundle that gives presence.
        verdict: The verdict at the operating points.
        presence_auc: AUC of v_ij by level, and "pooled" over the levels with both classes; empty
            without `levels.csv`.
    """

    name: str
    vertebra: str
    verdict: StudyVerdict
    presence_auc: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.name,
            "vertebra": self.vertebra,
            "patient": self.verdict.prob,
            "at_operating_point": self.verdict.prob >= self.verdict.threshold,
            **self.verdict.to_json(),
            "presence_auc": self.presence_auc,
        }


@dataclass(frozen=True, slots=True)
class RealCheck:
    """The result on one scan.

    Attributes:
        scan: Name of its folder.
        n_slices: Number of slices.
        boxes: Fused boxes at or above the localiser's threshold; None without a localiser.
        box_threshold: That threshold; None without a localiser.
        networks: Every pair of networks, the default one first.
        notes: Choices made while reading.
        segmenter: The segmenter; None without one.
    """

    scan: str
    n_slices: int
    boxes: int | None
    box_threshold: float | None
    networks: tuple[NetworkCheck, ...]
    notes: tuple[str, ...]
    segmenter: SegmenterCheck | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "scan": self.scan,
            "n_slices": self.n_slices,
            "boxes": self.boxes,
            "box_threshold": self.box_threshold,
            "networks": [one.to_json() for one in self.networks],
            "notes": list(self.notes),
            "segmenter": None if self.segmenter is None else self.segmenter.to_json(),
        }


def check_scans(
    folders: Sequence[Path], checkpoints: Path, *, progress: Progress | None = None
) -> list[RealCheck]:
    """Run every pair of networks on real scans.

    Args:
        folders: One CT series each, with or without `levels.csv`.
        checkpoints: Folder of the bundles.
        progress: Called with (networks done, total).

    Raises:
        DicomSeriesError: A folder holds no readable series.
        DataRootError: A `levels.csv` is damaged or does not fit its series.
        BundleError: There is no bundle, or one is damaged.
    """
    pairs = fracture_pairs(checkpoints)
    localizer = choose_localizer(checkpoints)
    boxes = None if localizer is None else BoxPredictor([localizer])
    segmenters = [
        SegmentationPredictor(bundle) for bundle in find_segmenters(list_bundles(checkpoints))[:1]
    ]
    # All tables are read first: a wrong one should not show after minutes of work.
    tables = {folder: read_levels(folder) for folder in folders}
    found: list[RealCheck] = []
    for number, folder in enumerate(folders):
        volume = read_series(folder)
        present = _fitting(tables[folder], volume, folder)
        raw = None if boxes is None else boxes.predict(volume)
        checks: list[NetworkCheck] = []
        for k, pair in enumerate(pairs):
            own = raw if localizer is not None and pair.fracture == localizer else None
            predicted = load_predictor(pair).predict_with_boxes(volume, raw=own)
            scores = score_study(predicted.predictions)
            areas = {} if present is None else presence_auc(
                predicted.predictions.vertebra_probs, present
            )  # fmt: skip
            checks.append(
                NetworkCheck(
                    name=pair.fracture.config.name,
                    vertebra=pair.presence.config.name,
                    verdict=judge(scores, pair),
                    presence_auc=areas,
                )
            )
            if progress is not None:
                progress(number * len(pairs) + k + 1, len(folders) * len(pairs))
        over = None if boxes is None or raw is None else boxes.boxes_of(raw, volume)
        found.append(
            RealCheck(
                scan=folder.resolve().name,
                n_slices=volume.n_slices,
                boxes=None if over is None else len(over),
                box_threshold=None if boxes is None else boxes.threshold,
                networks=tuple(checks),
                notes=volume.notes,
                segmenter=check_segmenter(segmenters[0], volume, present) if segmenters else None,
            )
        )
    return found


def fracture_pairs(checkpoints: Path) -> list[BundlePair]:
    """The default pair, then every other bundle in a pair: none is left out.

    A fracture bundle comes with the vertebra bundle that it would have by default, a vertebra
    bundle that is in no other pair with the default fracture bundle. Each fracture bundle comes
    with and without the labels of the segmenter.
    """
    default = choose_pair(checkpoints)
    bundles = list_bundles(checkpoints)
    pairs = [
        default,
        *(
            default_pair(one, checkpoints)
            for one in bundles
            if one.config.gives_fractures and one.folder != default.fracture.folder
        ),
    ]
    used = {bundle.folder for pair in pairs for bundle in pair.bundles}
    left = [one for one in bundles if one.config.gives_presence and one.folder not in used]
    others = [
        pair._replace(segmenter=None if pair.segmenter == one else one)
        for one in find_segmenters(bundles)
        for pair in pairs
    ]
    return [*pairs, *(BundlePair(one, default.fracture) for one in left), *others]


def read_levels(folder: Path) -> pd.DataFrame | None:
    """Read `levels.csv`: slice_index, and C1..C7 of 0 or 1 for each slice; None if there is none.

    Raises:
        DataRootError: The table is damaged or lacks a column.
    """
    file = folder / LEVELS_TABLE
    found = read_table(file, ["slice_index", *VERTEBRAE])
    if found is None:
        return None
    table = numbers(found, ["slice_index", *VERTEBRAE], booleans=True)
    values = table[["slice_index", *VERTEBRAE]].to_numpy(np.float64)
    wrong = np.isnan(values[:, 0]) | ~np.isin(values[:, 1:], (0, 1)).all(axis=1)
    if wrong.any():
        line = int(table.index[int(wrong.argmax())])
        raise DataRootError(
            f"{file}, line {line}: slice_index counts slices and C1 to C7 are 0 or 1; correct it."
        )
    return table.sort_values("slice_index")


def _fitting(
    table: pd.DataFrame | None, volume: CTVolume, folder: Path
) -> NDArray[np.bool_] | None:
    if table is None:
        return None
    if not np.array_equal(table["slice_index"].to_numpy(), np.arange(volume.n_slices)):
        raise DataRootError(
            f"{folder / LEVELS_TABLE} does not list the slices 0 to {volume.n_slices - 1} of its "
            "series, each once; correct slice_index."
        )
    return table[list(VERTEBRAE)].to_numpy() == 1
