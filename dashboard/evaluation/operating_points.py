"""Operating points that the dashboard saves for a network."""

from __future__ import annotations

from core.constants import VERTEBRAE
from core.errors import BundleError
from core.models.bundles import BundleInfo, team_points_file
from core.models.operating_points import BY_HAND
from core.models.saved_points import (
    PastPoint,
    PointLevel,
    SavedPoint,
    point_history,
    save_operating_point,
    undo_operating_point,
)
from dashboard.evaluation.threshold_counts import ChosenThresholds
from dashboard.evaluation.view import Thresholds
from dashboard.session.access import check_allowed, user_name
from dashboard.session.settings import settings


def point_to_save(
    thresholds: Thresholds, chosen: ChosenThresholds | None, shown_on: str, n_studies: int
) -> SavedPoint:
    """The operating point of the thresholds shown.

    Args:
        thresholds: One threshold, or seven for C1..C7.
        chosen: Thresholds of the rule, which is named only if the user has moved none.
        shown_on: Name of the data shown.
        n_studies: Number of its studies.
    """
    untouched = chosen is not None and chosen.values == thresholds
    if untouched and chosen is not None:
        first = chosen.points[0]
        data = f"{shown_on}, {n_studies:,} studies" if chosen.same_data else chosen.on
        rule, asked = first.rule, first.asked
    else:
        rule, asked, data = BY_HAND, None, f"{shown_on}, {n_studies:,} studies"
    many = len(thresholds) > 1
    return SavedPoint(
        threshold=sum(thresholds) / len(thresholds),
        rule=rule,
        data=data,
        per_vertebra=dict(zip(VERTEBRAE, thresholds, strict=True)) if many else None,
        asked=asked,
        by=user_name(),
    )


def save_point(bundle: BundleInfo, level: PointLevel, point: SavedPoint) -> None:
    """Save an operating point for a network, over the shipped one.

    Raises:
        BundleError: The dashboard is read-only, or as `save_operating_point` describes.
        StorageError: The file cannot be written.
    """
    _check_allowed()
    save_operating_point(team_points_file(settings().cspine_var, bundle.config), level, point)


def undo_point(bundle: BundleInfo, level: PointLevel) -> PastPoint:
    """Restore the previous operating point of a level.

    Raises:
        BundleError: The dashboard is read-only, or as `undo_operating_point` describes.
        StorageError: The file cannot be written.
    """
    _check_allowed()
    return undo_operating_point(team_points_file(settings().cspine_var, bundle.config), level)


def past_points(bundle: BundleInfo, level: PointLevel) -> list[PastPoint]:
    """Previous operating points of a level, the latest first; none if the file is unreadable."""
    try:
        return point_history(team_points_file(settings().cspine_var, bundle.config), level)
    except BundleError:
        return []


def _check_allowed() -> None:
    check_allowed("change", BundleError, "to save operating points")
