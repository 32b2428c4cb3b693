"""Search for CT studies and their series on a DICOMweb server (QIDO-RS)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from core.dicomweb.connection import checked_uid, client_of
from core.dicomweb.servers import DicomWebServer
from core.errors import DicomWebError

PAGE_SIZE: Final = 20
_CT: Final = "CT"
_UID_OF_STUDY: Final = "0020000D"
_UID_OF_SERIES: Final = "0020000E"
_LONGEST: Final = 64
"""Characters that are kept of a text: as long as a PatientID may be."""


@dataclass(frozen=True, slots=True)
class StudyQuery:
    """What is searched for; CT in any case.

    Attributes:
        patient_id: PatientID, with * and ? as wildcards; "" for any.
        first, last: Study dates; None for any.
    """

    patient_id: str = ""
    first: date | None = None
    last: date | None = None

    @property
    def filters(self) -> dict[str, str]:
        """The query in the words of QIDO."""
        wanted = {"ModalitiesInStudy": _CT}
        if self.patient_id.strip():
            wanted["PatientID"] = self.patient_id.strip()
        if self.first is not None or self.last is not None:
            ends = ("" if day is None else f"{day:%Y%m%d}" for day in (self.first, self.last))
            wanted["StudyDate"] = "-".join(ends)
        return wanted


@dataclass(frozen=True, slots=True)
class FoundStudy:
    """A study on a server, as the server describes it.

    Attributes:
        uid: StudyInstanceUID.
        patient_id: PatientID, or "".
        date: As YYYY-MM-DD, or "".
        description: StudyDescription, or "".
    """

    uid: str
    patient_id: str
    date: str
    description: str


@dataclass(frozen=True, slots=True)
class FoundSeries:
    """A CT series on a server.

    Attributes:
        study_uid: StudyInstanceUID.
        uid: SeriesInstanceUID.
        description: SeriesDescription, or "".
        images: Number of its images; 0 if the server does not tell.
    """

    study_uid: str
    uid: str
    description: str
    images: int


@dataclass(frozen=True, slots=True)
class StudyPage:
    """One page of a list of studies.

    Attributes:
        studies: At most `PAGE_SIZE`.
        more: Whether there is another page.
    """

    studies: tuple[FoundStudy, ...]
    more: bool


def search_studies(server: DicomWebServer, query: StudyQuery, page: int = 0) -> StudyPage:
    """Search for studies with CT images, in the server's order.

    Args:
        server: The server.
        query: What is wanted.
        page: Page of the list, from 0.

    Raises:
        DicomWebError: The server cannot be reached, refuses or answers wrongly.
    """
    with client_of(server) as client:
        items = client.search_for_studies(
            limit=PAGE_SIZE + 1,
            offset=page * PAGE_SIZE,
            fields=["StudyDescription", "ModalitiesInStudy"],
            search_filters=query.filters,
        )
        # A server may ignore the filter; one that does not name the modalities has filtered.
        found = [_study(item) for item in items if _CT in _values(item, "00080061", [_CT])]
    return StudyPage(tuple(found[:PAGE_SIZE]), len(items) > PAGE_SIZE)


def search_series(server: DicomWebServer, study_uid: str) -> tuple[FoundSeries, ...]:
    """Find the CT series of a study, the one with most images first.

    Raises:
        DicomWebError: It has none, or as for `search_studies`.
    """
    checked_uid(study_uid, "study")
    with client_of(server) as client:
        items = client.search_for_series(
            study_uid,
            fields=["SeriesDescription", "NumberOfSeriesRelatedInstances"],
            search_filters={"Modality": _CT},
        )
        found = [
            FoundSeries(
                study_uid,
                checked_uid(_text(item, _UID_OF_SERIES), "series"),
                _text(item, "0008103E"),
                int(_text(item, "00201209") or 0),
            )
            for item in items
            if _text(item, "00080060") in ("", _CT)
        ]
    if not found:
        raise DicomWebError(
            f"The DICOM server {server.name!r} has no CT series of this study; check the UID."
        )
    return tuple(sorted(found, key=lambda series: (-series.images, series.uid)))


def _study(item: dict[str, Any]) -> FoundStudy:
    day = _text(item, "00080020")
    return FoundStudy(
        checked_uid(_text(item, _UID_OF_STUDY), "study"),
        _text(item, "00100020"),
        f"{day[:4]}-{day[4:6]}-{day[6:]}" if len(day) == 8 else "",
        _text(item, "00081030"),
    )


def _text(item: dict[str, Any], tag: str) -> str:
    """First value of an element as one line of text; "" where there is none."""
    value = str(_values(item, tag, [""])[0])
    return "".join(sign for sign in value if sign.isprintable())[:_LONGEST].strip()


def _values(item: dict[str, Any], tag: str, otherwise: list[Any]) -> list[Any]:
    values = item.get(tag, {}).get("Value") or otherwise
    return [otherwise[0] if value is None else value for value in values]
