"""Commands that write the 3D scene of one study: surfaces, an HTML page and a film."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.cli.common import app
from core.config import Settings


@app.command()
def scene(
    study: Annotated[Path, typer.Argument(help="A study's folder, in a data root or alone.")],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    predictions: Annotated[
        Path | None, typer.Option(help="Folder that `predict` wrote; colours the vertebrae.")
    ] = None,
    film: Annotated[str | None, typer.Option(help="Also write a turntable: gif or mp4.")] = None,
    threshold: Annotated[float, typer.Option(min=0, max=1)] = 0.5,
) -> None:
    """Write a study's vertebrae as GLB, STL and one HTML page, and a table of their figures."""
    from core.models.bundles import list_bundles
    from core.models.pairs import find_segmenters
    from core.visualization.export import export_scene

    segmenters = find_segmenters(list_bundles(Settings().checkpoints))
    for line in export_scene(
        study, out, cache=Settings().rsna_cache, predictions=predictions, film=film,
        threshold=threshold, segmenter=next(iter(segmenters), None),
    ):  # fmt: skip
        typer.echo(line)
