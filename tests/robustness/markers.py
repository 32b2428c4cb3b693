"""Strings that would name a person, planted in DICOM headers and looked for in what is written."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pandas as pd
from pydicom.dataset import Dataset

MARKERS: Final = {
    "PatientName": "Zyxnachname^Zyxvorname",
    "PatientID": "ZYXID4711",
    "PatientBirthDate": "19010203",
    "PatientAddress": "Zyxstrasse 9",
    "OtherPatientIDs": "ZYXID0815",
    "InstitutionName": "Zyxklinikum",
    "InstitutionAddress": "Zyxplatz 1",
    "ReferringPhysicianName": "Zyxueberweiser",
    "PerformingPhysicianName": "Zyxarzt",
    "OperatorsName": "Zyxbediener",
    "StationName": "ZYXSTATION",
    "AccessionNumber": "ZYXACC42",
    "StudyID": "ZYXSTUDY7",
    "StudyDescription": "Zyxstudie",
    "SeriesDescription": "Zyxserie",
    "ProtocolName": "Zyxprotokoll",
    "PatientComments": "Zyxkommentar",
    "ImageComments": "Zyxbildkommentar",
    "AdditionalPatientHistory": "Zyxanamnese",
    "DeviceSerialNumber": "ZYXSERIAL5",
    "RequestedProcedureDescription": "Zyxanforderung",
}
"""By keyword. Each value occurs nowhere but where it was planted."""

PRIVATE: Final = "Zyxprivat"
WORDS: Final = (*(value.split("^")[0].split(" ")[0] for value in MARKERS.values()), PRIVATE)


def plant(dataset: Dataset, _index: int) -> None:
    """Write every marker into a header, one of them in a private group and one nested."""
    for keyword, value in MARKERS.items():
        setattr(dataset, keyword, value)
    block = dataset.private_block(0x0029, "ZYXCREATOR", create=True)
    block.add_new(0x01, "LO", PRIVATE)
    nested = Dataset()
    nested.PatientName = MARKERS["PatientName"]
    dataset.RequestAttributesSequence = [nested]


def found_in(folder: Path) -> dict[str, list[str]]:
    """Which markers stand in the files below a folder (or in their names), by file."""
    hits: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*")):
        parts = [str(path.relative_to(folder)).encode()]
        if path.is_file():
            parts += contents(path)
        if words := found_in_bytes(b"\n".join(parts)):
            hits[str(path.relative_to(folder))] = words
    return hits


def found_in_bytes(content: bytes) -> list[str]:
    """Which markers stand in some bytes, as text files, Windows and arrays of numpy hold them."""
    lowered = content.lower()
    encodings = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le")
    return [word for word in WORDS if any(word.lower().encode(e) in lowered for e in encodings)]


def contents(path: Path) -> Iterator[bytes]:
    """A file's bytes as they lie, and unpacked where they are compressed."""
    raw = path.read_bytes()
    yield raw
    if path.suffix == ".parquet":
        yield pd.read_parquet(path).to_csv().encode()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", raw, re.DOTALL):
        try:
            yield zlib.decompress(stream)
        except zlib.error:
            continue
