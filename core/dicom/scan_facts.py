"""What a header says of the scan and the reconstruction that an image comes from.

Two images with different facts are no part of one volume. Only equality counts, so the values are
kept as the file has them; what names a person is kept as a short digest, which tells two persons
apart and names neither.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Final, NamedTuple

FACT_KEYWORDS: Final = (
    "PatientID", "PatientName", "PatientBirthDate", "StudyDate", "StudyTime", "SeriesDate",
    "SeriesTime", "SeriesNumber", "FrameOfReferenceUID", "AcquisitionNumber", "EchoNumbers",
    "TemporalPositionIdentifier", "TemporalPositionIndex", "TriggerTime",
    "NominalPercentageOfCardiacPhase", "DiffusionBValue", "ContrastBolusAgent",
    "ConvolutionKernel", "KVP", "GantryDetectorTilt", "RescaleType",
)  # fmt: skip
"""The elements from which `scan_facts` takes its values, besides ImageType."""

HU: Final = "HU"
_HU_NAMES: Final = frozenset(("", "HU", "HOUNSFIELD", "HOUNSFIELD UNIT", "HOUNSFIELD UNITS"))
_MAPS: Final = frozenset(
    (
        "MAT_SPECIFIC", "MAT_REMOVED", "MAT_FRACTIONAL", "MAT_VALUE_BASED", "MAT_MODIFIED",
        "EFF_ATOMIC_NUM", "ELECTRON_DENSITY", "Z_EFF", "ZEFF", "RHO_Z", "RHO", "IODINE",
        "MATERIAL", "PERFUSION", "CBF", "CBV", "MTT", "TTP", "TMAX",
    )
)  # fmt: skip
"""Values of ImageType for maps of a material or of a flow (PS3.3 C.8.15.3.1 and vendors)."""
_CODE: Final = re.compile(r"[A-Z0-9_% ]{1,16}")


class ScanFacts(NamedTuple):
    """Facts of one image; "" for what its header does not say.

    Attributes:
        patient: Digest of id, name and date of birth, 8 hex digits.
        series: SeriesNumber, and a digest of dates and times if there is no SeriesInstanceUID.
        frame_of_reference: FrameOfReferenceUID.
        kernel: ConvolutionKernel.
        energy: KVP.
        gantry: GantryDetectorTilt, in tenths of a degree.
        unit: `HU` where RescaleType says so or nothing; else RescaleType, or the kind of map that
            ImageType names.
        acquisition: AcquisitionNumber.
        moment: Temporal position, trigger time and cardiac phase.
        weighting: Echo number and b-value.
        contrast: Digest of ContrastBolusAgent.
        image_type: ImageType.
    """

    patient: str = ""
    series: str = ""
    frame_of_reference: str = ""
    kernel: str = ""
    energy: str = ""
    gantry: str = ""
    unit: str = HU
    acquisition: str = ""
    moment: str = ""
    weighting: str = ""
    contrast: str = ""
    image_type: str = ""


NO_FACTS: Final = ScanFacts()


def scan_facts(raw: Callable[[str], bytes], *, has_series_uid: bool) -> ScanFacts:
    """Gather the facts of an image.

    Args:
        raw: Gives the raw value of an element by its keyword, b"" where it is absent.
        has_series_uid: Whether the file names its series.
    """

    def text(keyword: str) -> str:
        return raw(keyword).decode("ascii", errors="replace").strip(" \0").upper()

    def joined(*keywords: str) -> str:
        return "/".join(text(keyword) for keyword in keywords).strip("/")

    series = _number(text("SeriesNumber"))
    if not has_series_uid:
        times = ("StudyDate", "StudyTime", "SeriesDate", "SeriesTime")
        series = f"{series}/{_digest(*(raw(keyword) for keyword in times))}".strip("/")
    binary = (raw("TemporalPositionIndex"), raw("NominalPercentageOfCardiacPhase"))
    moment = (joined("TemporalPositionIdentifier", "TriggerTime"), *(b.hex() for b in binary))
    return ScanFacts(
        patient=_digest(raw("PatientID"), raw("PatientName"), raw("PatientBirthDate")),
        series=series,
        frame_of_reference=text("FrameOfReferenceUID"),
        kernel=text("ConvolutionKernel"),
        energy=_number(text("KVP")),
        gantry=_number(text("GantryDetectorTilt"), 1),
        unit=_unit(text("RescaleType"), text("ImageType")),
        acquisition=_number(text("AcquisitionNumber")),
        moment="/".join(moment).strip("/"),
        weighting="/".join((text("EchoNumbers"), raw("DiffusionBValue").hex())).strip("/"),
        contrast=_digest(raw("ContrastBolusAgent")),
        image_type=text("ImageType"),
    )


def _unit(rescale_type: str, image_type: str) -> str:
    if rescale_type not in _HU_NAMES:
        return rescale_type if _CODE.fullmatch(rescale_type) else "another unit"
    return next((part for part in image_type.split("\\") if part.strip() in _MAPS), HU)


def _number(text: str, decimals: int = 3) -> str:
    """Return a number in one spelling, whatever zeros and sign of zero the file gives it."""
    try:
        return f"{round(float(text), decimals) + 0.0:g}"
    except (ValueError, OverflowError):
        return text


def _digest(*values: bytes) -> str:
    stripped = [value.strip(b" \0") for value in values]
    return hashlib.sha256(b"\0".join(stripped)).hexdigest()[:8] if any(stripped) else ""
