"""Commands that write the 3D scene of one study: surfaces, an HTML page and a film."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from core.cli.common import app
from core.config import Settings
from core.errors import SceneError


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
    from core.visualization.export import export_scene

    for line in export_scene(
        study, out, cache=Settings().rsna_cache, predictions=predictions, film=film,
        threshold=threshold,
    ):  # fmt: skip
        typer.echo(line)


@app.command()
def film(
    surfaces: Annotated[Path, typer.Argument(help="A file of `var/cache/surfaces`.")],
    out: Annotated[Path, typer.Option(help="Film to write, .gif or .mp4.")],
    colors: Annotated[str, typer.Option(help='JSON: {"C4": "#D9820F"}.')] = "{}",
) -> None:
    """Write a turntable film of existing surfaces, without a display."""
    from core.visualization.film import turntable_frames, write_film
    from core.visualization.scene_surfaces import read_parts

    try:
        chosen = json.loads(colors)
    except ValueError as error:
        raise SceneError(f"The colours are not JSON ({error}); leave them out.") from error
    write_film(out, list(turntable_frames(read_parts(surfaces), chosen)))
    typer.echo(str(out))
