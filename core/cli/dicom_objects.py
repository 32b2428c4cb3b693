"""The command that writes one study's findings as DICOM objects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.cli.common import Bundles, Device, app, progress_bar
from core.config import Settings


@app.command()
def export_dicom(
    study: Annotated[Path, typer.Argument(help="Folder with one study's DICOM files.")],
    out: Annotated[Path, typer.Option(help="Folder for the objects.")],
    seg: Annotated[bool, typer.Option("--seg", help="Vertebrae as a segmentation.")] = False,
    sr: Annotated[bool, typer.Option("--sr", help="Boxes and scores as a report.")] = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="The report as encapsulated PDF.")] = False,
    key_slices: Annotated[
        bool, typer.Option("--key-slices", help="Slices with boxes as secondary captures.")
    ] = False,
    mask: Annotated[
        Path | None,
        typer.Option(
            help="Mask of the vertebrae; by default the data root's, else a segmenter draws them."
        ),
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="Folder of annotations, whose boxes replace predicted ones.")
    ] = None,
    send: Annotated[
        str, typer.Option(metavar="SERVER", help="Store them on this one of DICOMWEB_SERVERS too.")
    ] = "",
    bundle: Bundles = None,
    device: Device = "auto",
) -> None:
    """Write one study's findings as DICOM objects, all kinds unless some are named."""
    from core.annotations.store import AnnotationStore
    from core.dicomweb.servers import find_server
    from core.dicomweb.store import send_objects
    from core.models.bundles import list_bundles, read_bundle, with_team_points
    from core.models.pairs import choose_pair, find_segmenters
    from core.report.objects.export import KINDS, Kind, export_objects

    named: dict[Kind, bool] = {"seg": seg, "sr": sr, "pdf": pdf, "key-slices": key_slices}
    kinds: list[Kind] = [kind for kind, wanted in named.items() if wanted] or list(KINDS)
    settings, named_bundles = Settings(), list_bundles(Settings().checkpoints)
    server = find_server(settings, send) if send else None
    segmenters = find_segmenters([*map(read_bundle, bundle or []), *named_bundles])
    pair = None
    if kinds != ["seg"]:
        found = choose_pair(settings.checkpoints, bundle or [])
        pair = found._replace(fracture=with_team_points(found.fracture, settings.cspine_var))
    with progress_bar("prediction", "slice") as progress:
        files = export_objects(
            study, out, pair, kinds=kinds, mask=mask, segmenter=next(iter(segmenters), None),
            annotations=None if annotations is None else AnnotationStore(annotations),
            device=device, progress=progress,
        )  # fmt: skip
    typer.echo(f"{len(files)} DICOM objects in {out}: {', '.join(file.name for file in files)}")
    if server is not None:
        with progress_bar("sending", "object") as progress:
            send_objects(server, [file.read_bytes() for file in files], progress)
        typer.echo(f"{len(files)} DICOM objects stored on {server.name}")
