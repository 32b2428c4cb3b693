"""The command that checks the networks on real scans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from core.cli.common import app, progress_bar
from core.config import Settings


@app.command()
def real_check(
    folders: Annotated[
        list[Path],
        typer.Argument(
            help="CT series of real scans without a fracture, one per folder; levels.csv in it "
            "(slice_index, C1..C7 of 0 or 1) gives the true levels."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    keep: Annotated[
        bool, typer.Option(help="Also write the figures to the bundles and their cards.")
    ] = False,
) -> None:
    """Presence by level, boxes, calls and distribution score of real scans.

    A few scans without a fracture are no measure of sensitivity.
    """
    from core.experiments.real_check import check_scans
    from core.experiments.real_scan_text import check_text, keep_checks

    checkpoints = Settings().checkpoints
    with progress_bar("real scans", "network") as progress:
        found = check_scans(folders, checkpoints, progress=progress)
    if keep:
        keep_checks(found, checkpoints)
    if as_json:
        typer.echo(json.dumps([one.to_json() for one in found], indent=2, allow_nan=False))
        return
    typer.echo("\n\n".join(check_text(one) for one in found))
