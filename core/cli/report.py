"""The command that writes one study's report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.cli.common import Bundles, Device, app, progress_bar
from core.config import Settings


@app.command()
def report(
    study: Annotated[Path, typer.Argument(help="Folder with one study's DICOM files.")],
    out: Annotated[Path, typer.Option(help="File to write, .html or .pdf.")],
    bundle: Bundles = None,
    device: Device = "auto",
) -> None:
    """Write the scores of one study, with pictures, as HTML or PDF."""
    from core.models.bundles import with_team_points
    from core.models.pairs import choose_pair
    from core.report.write import write_report

    settings = Settings()
    found = choose_pair(settings.checkpoints, bundle or [])
    pair = found._replace(fracture=with_team_points(found.fracture, settings.cspine_var))
    with progress_bar("prediction", "slice") as progress:
        write_report(study, out, pair, device=device, progress=progress)
    typer.echo(f"Report in {out}")
