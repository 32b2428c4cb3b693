"""The command that searches a DICOMweb server and fetches a series."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from core.cli.common import app, progress_bar
from core.config import Settings
from core.errors import DicomWebError


@app.command()
def fetch(
    server: Annotated[str, typer.Argument(help="Name of a server in DICOMWEB_SERVERS.")],
    out: Annotated[
        Path | None, typer.Argument(help="New folder for the files; not with --search.")
    ] = None,
    study: Annotated[str, typer.Option(help="StudyInstanceUID.")] = "",
    series: Annotated[
        str, typer.Option(help="SeriesInstanceUID; the CT series with most images by default.")
    ] = "",
    search: Annotated[
        bool, typer.Option("--search", help="List CT studies, or with --study its CT series.")
    ] = False,
    patient: Annotated[str, typer.Option(help="Search for this PatientID; * is any text.")] = "",
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Search from this study date.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Search up to this study date.")
    ] = None,
    page: Annotated[int, typer.Option(min=1, help="Page of the list of studies.")] = 1,
) -> None:
    """Search a DICOMweb server, or fetch a series of a study into a folder."""
    from core.dicomweb.retrieve import fetch_series
    from core.dicomweb.search import StudyQuery, search_series, search_studies
    from core.dicomweb.servers import find_server

    settings = Settings()
    place = find_server(settings, server)
    if search and not study and out is None:
        days = [None if day is None else day.date() for day in (since, until)]
        found = search_studies(place, StudyQuery(patient, *days), page - 1)
        for one in found.studies:
            typer.echo(f"{one.uid}  {one.date or '-'}  {one.patient_id}  {one.description}")
        typer.echo(f"{len(found.studies)} studies" + (f"; --page {page + 1} has more" * found.more))
        return
    if not study or (out is None) != search:
        raise DicomWebError(
            "Say what to do: --search to list studies, --search --study UID to list its series, or "
            "--study UID and a new folder to fetch one."
        )
    listed = search_series(place, study)
    if out is None:
        for one in listed:
            typer.echo(f"{one.uid}  {one.images or '?'} images  {one.description}")
        return
    chosen = next((one for one in listed if series in ("", one.uid)), None)
    if chosen is None:
        raise DicomWebError(
            f"The study has no CT series {series}; list them by --search --study UID."
        )
    with progress_bar("images", "image") as progress:
        count = fetch_series(place, chosen, out, max_mib=settings.max_upload_mib, progress=progress)
    typer.echo(f"{count} images of series {chosen.uid} in {out}")
