"""Boxes of a cohort as files next to a bundle: raw predictions, truth, and study sizes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import PredictionsError
from core.evaluation.detection.matching import BoxTable
from core.inference.boxes.tracks import FusionSettings, detect, link_tracks
from core.system.parquet import write_parquet
from core.types import RawDetections

RAW_FILE: Final = "raw_boxes.parquet"
TRUTH_FILE: Final = "true_boxes.parquet"
STUDIES_FILE: Final = "studies.parquet"
TRUTH_TRACK_IOU: Final = 0.05
"""Overlap from which true boxes of neighbouring slices belong to one fracture."""
_CORNERS: Final = ("x0", "y0", "x1", "y1")


@dataclass(frozen=True, slots=True, eq=False)
class BoxTables:
    """Predicted and true boxes of a cohort.

    Attributes:
        raw: Predicted boxes by study, before any fusion.
        truth: True boxes; `study` is the index in `raw`.
        vertebrae: Vertebrae of each true box, as "C5" or "C5+C6".
        kinds: Fracture kinds on the slice of each true box, joined likewise; "" where unknown.
    """

    raw: tuple[RawDetections, ...]
    truth: BoxTable
    vertebrae: tuple[str, ...]
    kinds: tuple[str, ...]

    @property
    def study_ids(self) -> tuple[str, ...]:
        """StudyInstanceUID of each study."""
        return tuple(study.study_id for study in self.raw)

    @property
    def n_slices(self) -> NDArray[np.int64]:
        """Slices of each study, int64."""
        return np.array([study.n_slices for study in self.raw], dtype=np.int64)


def fused_table(
    raw: Sequence[RawDetections],
    settings: FusionSettings,
    slice_probs: Sequence[NDArray[np.float64]] | None = None,
) -> BoxTable:
    """Fuse every study's raw boxes and put them into one table.

    Args:
        raw: Raw boxes by study.
        settings: Settings of the fusion.
        slice_probs: Slice scores by study, float64 (n_slices,); needed for
            `FusionSettings.slice_threshold`.
    """
    probs = [None] * len(raw) if slice_probs is None else slice_probs
    found = [detect(study, settings, slice_probs=p) for study, p in zip(raw, probs, strict=True)]
    return BoxTable(
        study=np.concatenate([np.full(len(f), k, np.int64) for k, f in enumerate(found)]),
        slice_index=np.concatenate([f.slice_index for f in found]),
        xyxy=np.concatenate([f.xyxy for f in found]),
        scores=np.concatenate([f.scores for f in found]),
        track=np.concatenate([f.track for f in found]),
    )


def true_box_table(boxes: Sequence[tuple[int, int, Sequence[float]]]) -> BoxTable:
    """Put true boxes into one table, linked to fractures along z.

    Args:
        boxes: (study, slice index, xyxy) each.
    """
    rows = sorted(boxes, key=lambda box: (box[0], box[1]))
    study = np.array([row[0] for row in rows], dtype=np.int64)
    index = np.array([row[1] for row in rows], dtype=np.int64)
    xyxy = np.array([row[2] for row in rows], dtype=np.float64).reshape(-1, 4)
    scores = np.ones(len(rows))
    track = np.zeros(len(rows), np.int64)
    for number in np.unique(study):
        own = study == number
        track[own] = link_tracks(index[own], xyxy[own], scores[own], iou=TRUTH_TRACK_IOU)
    return BoxTable(study, index, xyxy, scores, track)


def write_box_cohort(folder: Path, cohort: BoxTables) -> None:
    """Write the three files; boxes as float32.

    Raises:
        StorageError: A file cannot be written.
    """
    ids = cohort.study_ids
    raw = pd.DataFrame(
        {
            "study_id": pd.Categorical(
                np.repeat(ids, [len(one.scores) for one in cohort.raw]), categories=ids
            ),
            "slice_index": np.concatenate([one.slice_index for one in cohort.raw]).astype(np.int16),
            **_corners(np.concatenate([one.xyxy for one in cohort.raw])),
            "score": np.concatenate([one.scores for one in cohort.raw]).astype(np.float32),
            "source": np.concatenate([one.source for one in cohort.raw]).astype(np.int8),
        }
    )
    truth = pd.DataFrame(
        {
            "study_id": [ids[k] for k in cohort.truth.study],
            "slice_index": cohort.truth.slice_index.astype(np.int16),
            **_corners(cohort.truth.xyxy),
            "vertebrae": cohort.vertebrae,
            "kinds": cohort.kinds,
        }
    )
    studies = pd.DataFrame(
        {
            "study_id": ids,
            "n_slices": cohort.n_slices,
            "z_first_mm": [float(one.z_mm[0]) for one in cohort.raw],
            "z_last_mm": [float(one.z_mm[-1]) for one in cohort.raw],
            "n_sources": [one.n_sources for one in cohort.raw],
            "models": ["+".join(one.models) for one in cohort.raw],
        }
    )
    for name, table in ((RAW_FILE, raw), (TRUTH_FILE, truth), (STUDIES_FILE, studies)):
        write_parquet(folder / name, table)


def read_box_cohort(folder: Path) -> BoxTables:
    """Read what `write_box_cohort` wrote.

    Raises:
        PredictionsError: A file is missing, unreadable or lacks a column.
    """
    try:
        raw, truth, studies = (
            pd.read_parquet(folder / name) for name in (RAW_FILE, TRUTH_FILE, STUDIES_FILE)
        )
        ids = [str(name) for name in studies["study_id"]]
        place = {name: k for k, name in enumerate(ids)}
        by_study = {str(name): boxes for name, boxes in raw.groupby("study_id", observed=True)}
        nothing = cast("pd.DataFrame", raw.iloc[:0])
        return BoxTables(
            raw=tuple(
                _raw_study(row, by_study.get(str(row["study_id"]), nothing))
                for row in studies.to_dict("records")
            ),
            truth=true_box_table(
                [
                    (
                        place[str(row["study_id"])],
                        int(row["slice_index"]),
                        [float(row[name]) for name in _CORNERS],
                    )
                    for row in truth.to_dict("records")
                ]
            ),
            vertebrae=tuple(truth["vertebrae"].astype(str)),
            kinds=tuple(truth["kinds"].astype(str)),
        )
    except (OSError, ValueError, KeyError) as error:
        raise PredictionsError(
            f"{folder} does not hold the boxes of a cohort; make them with "
            "`python -m core demo-localizer`."
        ) from error


def _raw_study(row: Mapping[Hashable, Any], boxes: pd.DataFrame) -> RawDetections:
    n_slices = int(row["n_slices"])
    return RawDetections(
        study_id=str(row["study_id"]),
        slice_index=boxes["slice_index"].to_numpy(np.int64),
        xyxy=boxes[[*_CORNERS]].to_numpy(np.float64),
        scores=boxes["score"].to_numpy(np.float64),
        source=boxes["source"].to_numpy(np.int64),
        n_sources=int(row["n_sources"]),
        z_mm=np.linspace(float(row["z_first_mm"]), float(row["z_last_mm"]), n_slices),
        models=tuple(str(row["models"]).split("+")),
    )


def _corners(xyxy: NDArray[np.float64]) -> dict[str, NDArray[np.float32]]:
    return {name: xyxy[:, k].astype(np.float32) for k, name in enumerate(_CORNERS)}
