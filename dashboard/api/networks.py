"""Networks that a request names, and what they found in a study."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from core.errors import BundleError, PredictionsError
from core.inference.boxes.boxes_csv import boxes_from
from core.inference.outputs import SLICES_FILE, SUMMARY_FILE, read_slices, study_summary
from core.models.bundles import BundleInfo, with_team_points
from core.models.pairs import BundlePair, choose_localizer, choose_pair
from core.types import FileBox
from dashboard.api.resources import Box, PredictionResult, StudyPrediction
from dashboard.session.settings import settings
from dashboard.studies.cohort import bundle_key, usable_bundles
from dashboard.studies.localizer import default_threshold
from dashboard.studies.open_study import OpenStudy
from dashboard.studies.predictions import stored_predictions
from dashboard.studies.raw_boxes import find_raw


class Networks(NamedTuple):
    """Networks that predict a study.

    Attributes:
        pair: The networks that score it.
        localizer: The network that gives its boxes; None if there is none.
    """

    pair: BundlePair
    localizer: BundleInfo | None


def choose_networks(names: Sequence[str]) -> Networks:
    """Networks by the names that links have for them, chosen as `python -m core predict` does.

    Args:
        names: Names; a place that none of them fills has the default network.

    Raises:
        BundleError: A name is unknown, or the named networks do not go together.
    """
    current = settings()
    known = {bundle_key(bundle): bundle.folder for bundle in usable_bundles()} if names else {}
    if missing := [name for name in names if name not in known]:
        # A name of a request may be any text, so it is not repeated.
        raise BundleError(
            f"{len(missing)} of the named bundles do not exist; name one of "
            f"{', '.join(known) or 'none, as there is none'}."
        )
    folders: list[Path] = [known[name] for name in names]
    pair = choose_pair(current.checkpoints, folders)
    localizer = choose_localizer(current.checkpoints, folders)
    return Networks(
        pair._replace(fracture=with_team_points(pair.fracture, current.cspine_var)),
        None if localizer is None else with_team_points(localizer, current.cspine_var),
    )


def read_result(study: OpenStudy, networks: Networks) -> PredictionResult:
    """What the networks found in a study.

    Raises:
        PredictionsError: They have not run on it, or what they wrote is damaged.
    """
    pair, localizer = networks
    folder = stored_predictions(study, pair)
    if folder is None:
        raise PredictionsError("The predictions of this study were removed; ask for them again.")
    taken = json.loads((folder / SUMMARY_FILE).read_text(encoding="utf-8"))["seconds"]
    # Made again, as an operating point may have been set since they were written.
    summary = study_summary(read_slices(folder / SLICES_FILE)[0], taken, pair)
    raw = None if localizer is None else find_raw(study, localizer)
    boxes: tuple[FileBox, ...] = ()
    if localizer is not None and raw is not None:
        boxes = boxes_from(raw, study.volume, default_threshold(localizer))
    return PredictionResult(
        predictions=StudyPrediction(**summary), boxes=[_as_box(box) for box in boxes]
    )


def _as_box(box: FileBox) -> Box:
    """A box, rounded as in `boxes.csv`."""
    x, y, right, bottom = box.xyxy
    return Box(
        slice_number=box.slice_number, x=round(x, 2), y=round(y, 2), width=round(right - x, 2),
        height=round(bottom - y, 2), score=round(box.score, 4),
    )  # fmt: skip
