"""The command that analyses an export of a reader study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from core.cli.common import app
from core.errors import ReaderStudyError


@app.command("reader-study")
def reader_study(
    answers: Annotated[Path, typer.Argument(help="CSV that the page Reader study exported.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what readers and model found: figures, agreement, help, and the hardest cases."""
    from core.reader_study.answers import read_answers
    from core.reader_study.result_text import results_text
    from core.reader_study.results import analyse

    results = analyse(read_answers(answers))
    if results is None:
        raise ReaderStudyError(f"{answers} holds no answer; export it after the class has read.")
    typer.echo(json.dumps(results.to_json(), indent=2) if as_json else results_text(results))
