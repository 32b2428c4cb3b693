"""The one writer of CSV: no text of it is a formula to a spreadsheet."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Sequence
from typing import Final

import pandas as pd

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""First characters that make spreadsheets run a cell (OWASP, CSV injection), and of full width."""
ESCAPE: Final = "'"
"""Written before such text; spreadsheets show the rest as it is."""
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def table_csv(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as CSV: commas, quotation marks where needed, lines that end in a line feed.

    Numbers stay numbers, also where they were formatted before ("-0.50"). Missing values are empty
    cells. Text whose first character is one of `FORMULA_STARTS` gets an apostrophe before it;
    `plain_cell` takes it off again.

    Args:
        heading: Names of the columns.
        rows: Cells of each row, in the order of the heading.
    """
    lines = _Lines()
    # The writer quotes only the ends of lines that it writes itself, so it writes both kinds.
    writer = csv.writer(lines, lineterminator="\r\n")
    writer.writerow([_cell(name) for name in heading])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return "".join(line.removesuffix("\r\n") + "\n" for line in lines.written)


class _Lines:
    """Collects what is written, one line at a time."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, line: str) -> None:
        self.written.append(line)


def frame_csv(frame: pd.DataFrame) -> str:
    """Return the columns of a frame as `table_csv`, without its index."""
    columns = [frame[name].astype(object).tolist() for name in frame.columns]
    return table_csv([str(name) for name in frame.columns], zip(*columns, strict=True))


def plain_cell(text: str) -> str:
    """Return a cell as it was before `table_csv` escaped it.

    A spreadsheet's own way to keep an identifier as text, `="1.2.840"`, is undone too.
    """
    if text.startswith(ESCAPE) and _is_formula(text.removeprefix(ESCAPE)):
        return text.removeprefix(ESCAPE)
    if len(text) > 3 and text.startswith('="') and text.endswith('"'):
        return text[2:-1]
    return text


def _cell(value: object) -> object:
    if isinstance(value, str):
        return ESCAPE + value if _is_formula(value) else value
    missing = value is None or value is pd.NA or value is pd.NaT
    return "" if missing or (isinstance(value, float) and math.isnan(value)) else value


def _is_formula(text: str) -> bool:
    """Whether a spreadsheet may run the text; blanks before it do not help."""
    risky = text.startswith(FORMULA_STARTS) or text.lstrip().startswith(FORMULA_STARTS)
    return risky and not _NUMBER.fullmatch(text)
