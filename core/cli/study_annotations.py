"""Commands about annotations: what there is, and their export as RSNA's tables."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.common import app
from core.config import Settings
from core.constants import VERTEBRAE

if TYPE_CHECKING:
    from core.annotations.records import StudyAnnotation
    from core.annotations.store import AnnotationStore

commands = typer.Typer(
    no_args_is_help=True, help="Accepted, rejected and drawn boxes, and verdicts on studies."
)
app.add_typer(commands, name="annotations")
_Folder = Annotated[
    Path | None, typer.Option("--folder", help="Folder of annotations; var/annotations by default.")
]


@commands.command("list")
def list_annotations(
    folder: _Folder = None,
    history: Annotated[bool, typer.Option("--history", help="Every version, refused too.")] = False,
) -> None:
    """List the annotated studies with revision, author, boxes and verdict."""
    store = _store(folder)
    ids = store.study_ids()
    for study_id in ids:
        log = store.read(study_id)
        if history:
            for version in sorted((*log.versions, *log.refused), key=lambda one: one.at):
                typer.echo(_line(version))
        elif log.current is not None:
            typer.echo(_line(log.current))
        for problem in log.problems:
            typer.echo(problem, err=True)
    typer.echo(f"{len(ids)} annotated studies in {store.folder}")


@commands.command()
def export(
    out: Annotated[Path, typer.Option(help="Folder for train.csv and train_bounding_boxes.csv.")],
    data_root: Annotated[
        Path | None, typer.Option(help="Data set of the studies; the one in use by default.")
    ] = None,
    folder: _Folder = None,
    only_annotated: Annotated[
        bool, typer.Option("--only-annotated", help="Leave out studies without an annotation.")
    ] = False,
) -> None:
    """Write labels and boxes of a data set, corrected, as RSNA's tables."""
    from core.annotations.corrections import corrected_studies
    from core.annotations.export import write_tables
    from core.dataset.rsna import read_studies

    store = _store(folder)
    known = set(store.study_ids())
    records = corrected_studies(read_studies(data_root or Settings().data_root), store)
    if only_annotated:
        records = [record for record in records if record.study_id in known]
    labels, boxes = write_tables(records, out)
    n_boxes = sum(len(record.boxes) for record in records)
    typer.echo(f"{len(records)} studies, {n_boxes} boxes in {labels} and {boxes}")


def _store(folder: Path | None) -> AnnotationStore:
    from core.annotations.store import FOLDER_NAME, AnnotationStore

    return AnnotationStore(folder or Settings().cspine_var / FOLDER_NAME)


def _line(version: StudyAnnotation) -> str:
    counts = Counter(box.status for box in version.boxes)
    boxes = ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "no boxes"
    verdict = "no verdict"
    if version.fractured is not None:
        named = [name for name, y in zip(VERTEBRAE, version.fractured, strict=True) if y]
        verdict = f"fractured: {', '.join(named)}" if named else "not fractured"
    refused = ", refused" if version.refused else ""
    return (
        f"{version.study_id}  revision {version.revision}{refused}  {version.author}  "
        f"{version.at:%Y-%m-%d %H:%M}  {boxes}  {verdict}"
    )
