"""The command line: `python -m core <command>`.

The composition root: it connects the packages, shows progress, and turns a typed error into one
line and exit status 2. Commands import what they need when they run, so that `--help` and commands
without a network start quickly.
"""

from __future__ import annotations

import sys

import typer

from core.cli import (
    data,
    dicom_objects,
    dicomweb,
    ensembles,
    evaluation,
    models,
    reader_study,
    real_scans,
    report,
    scene,
    segmentation,
    study_annotations,
    training,
)
from core.cli.common import app
from core.errors import CSpineError

__all__ = [
    "app",
    "data",
    "dicom_objects",
    "dicomweb",
    "ensembles",
    "evaluation",
    "main",
    "models",
    "reader_study",
    "real_scans",
    "report",
    "scene",
    "segmentation",
    "study_annotations",
    "training",
]


def main() -> None:
    """Run the command line; bad input ends with one sentence and status 2."""
    try:
        app()
    except CSpineError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("Stopped; what was finished is kept.", err=True)
        sys.exit(130)
