"""What every object states: who made it, that it is for research, that data are synthetic."""

from __future__ import annotations

from typing import Any, Final

from pydicom.dataset import Dataset

from core.constants import NOT_FOR_CLINICAL_USE, SYNTHETIC_WARNING
from core.report.objects.source import OPTIONAL, SourceSeries
from core.system.uids import derived_uid, new_uid

PRODUCT: Final = "C-Spine Fracture Lab"
RELEASE: Final = "research"
"""Stands for the version of a program that has no numbered releases."""
DEVICE_UID: Final = derived_uid(PRODUCT, "device")
RESEARCH: Final = "RESEARCH"
"""ContentQualification, and ContentLabel of a segmentation."""
NOTICE: Final = "For research and teaching only; not for clinical use."
"""Short enough for a long string."""
_CHARACTERS: Final = 64
"""Most characters of a long string (VR LO)."""


def description(source: SourceSeries, what: str) -> str:
    """What an object is, at most 64 characters: of synthetic data, for research only."""
    origin = "Synthetic, research only" if source.synthetic else "Research only"
    return f"{origin}: {what}"[:_CHARACTERS]


def series_of(source: SourceSeries, number: int, what: str) -> dict[str, Any]:
    """Arguments of a new series of one object, for highdicom's classes."""
    return {
        "series_instance_uid": new_uid(),
        "series_number": number,
        "sop_instance_uid": new_uid(),
        "instance_number": 1,
        "manufacturer": PRODUCT,
        "manufacturer_model_name": PRODUCT,
        "software_versions": RELEASE,
        "device_serial_number": "0",
        "series_description": description(source, what),
        "content_qualification": RESEARCH,
    }


def comment(source: SourceSeries) -> str:
    """The sentences against clinical use and on synthetic data."""
    said = (
        (NOT_FOR_CLINICAL_USE, SYNTHETIC_WARNING) if source.synthetic else (NOT_FOR_CLINICAL_USE,)
    )
    return " ".join(said)


def mark(item: Dataset, source: SourceSeries) -> None:
    """Mark an object as made from generated data, and carry over the rest of patient and study."""
    for keyword in OPTIONAL:
        if keyword in source.first:
            item[keyword] = source.first[keyword]
    if source.synthetic:
        item.SyntheticData = "YES"
