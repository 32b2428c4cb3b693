"""Send DICOM objects to a DICOMweb server (STOW-RS)."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pydicom

from core.dicomweb.connection import client_of
from core.dicomweb.servers import DicomWebServer
from core.errors import DicomWebError
from core.types import Progress


def send_objects(
    server: DicomWebServer, objects: Sequence[bytes], progress: Progress | None = None
) -> None:
    """Store objects, one per request, so that work can end between two.

    Args:
        server: The server.
        objects: DICOM files.
        progress: Called with objects stored and objects in all; what it raises ends the work.

    Raises:
        DicomWebError: The server cannot be reached or refuses an object; those before it are
            stored.
    """
    with client_of(server) as client:
        for number, content in enumerate(objects):
            if progress is not None:
                progress(number, len(objects))
            receipt = client.store_instances([pydicom.dcmread(io.BytesIO(content))])
            if receipt.get("FailedSOPSequence"):
                raise DicomWebError(
                    f"The DICOM server {server.name!r} did not store object {number + 1} of "
                    f"{len(objects)}; ask its administrator which objects it takes."
                )
    if progress is not None:
        progress(len(objects), len(objects))
