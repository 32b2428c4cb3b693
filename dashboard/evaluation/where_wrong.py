"""On which studies the active model is worse, and its wrong calls one by one."""

from __future__ import annotations

from dashboard.evaluation.comparison import ComparisonTable
from dashboard.evaluation.error_gallery import error_gallery
from dashboard.evaluation.page import section
from dashboard.evaluation.subgroup_section import subgroup_section


def where_wrong(comparison: ComparisonTable) -> None:
    """Draw the comparison of subgroups and the gallery of errors."""
    section("On which studies is it worse?")
    subgroup_section(comparison)
    section("Where is it wrong?")
    error_gallery(comparison)
