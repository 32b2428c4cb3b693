"""The one reader of CSV: every table of truth, boxes or predictions, whoever wrote it."""

from __future__ import annotations

import codecs
import csv
import io
import re
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import DataRootError
from core.system.csv_text import plain_cell

RAGGED: Final = "n_values"
"""Column with the number of surplus (above 0) or missing (below 0) values in a row."""
SEPARATORS: Final[dict[str, str]] = {",": "commas", ";": "semicolons", "\t": "tabs"}
NO_ALIASES: Final[Mapping[str, Sequence[str]]] = MappingProxyType({})

_AROUND: Final = string.whitespace + "\0\u00a0\u200b\ufeff"
"""Characters around a cell that are no part of it; DICOM pads identifiers with a NUL."""
_IGNORED: Final = re.compile(r"[\s_\-\u200b\ufeff\0]+")
_SEPARATOR_LINE: Final = re.compile(r"\A\"?sep=.\"?(?=\r|\n)", re.IGNORECASE)
_DECIMAL_COMMA: Final = re.compile(r"^([+-]?\d*),(\d+(?:[eE][+-]?\d+)?)$")
_BOOLEANS: Final = {"true": "1", "yes": "1", "false": "0", "no": "0"}
_NAME: Final = re.compile(r"[A-Za-z][\w .()/%-]{0,29}", re.ASCII)
_SHOWN: Final = 12


def read_table(
    path: Path,
    columns: Sequence[str],
    *,
    optional: Sequence[str] = (),
    aliases: Mapping[str, Sequence[str]] = NO_ALIASES,
    others: bool = False,
    remedy: str = "add it to the heading",
) -> pd.DataFrame | None:
    """Read a table with a heading as text, however a spreadsheet or a script has written it.

    Columns are found whatever their order, case, blanks and underscores; the separator is a comma,
    a semicolon or a tab; lines end in any way. Empty rows are skipped. A row of another length than
    the heading is padded or cut; a schema rejects it by the column `RAGGED`.

    Args:
        path: UTF-8, or UTF-16 with a byte-order mark.
        columns: Required columns; others are ignored unless `others`.
        optional: Columns that are read where they are there.
        aliases: Other names of a column, by its name.
        others: Whether columns of any other name are read too, each under its heading.
        remedy: What to do where a required column is not there.

    Returns:
        The columns as text without blanks around it, and `RAGGED`; the index is the line in which
        the row begins; `attrs["separator"]` is the separator. None if the file does not exist.

    Raises:
        DataRootError: The file is not CSV text, or its heading lacks a column or has it twice.
    """
    text = _text(path)
    if text is None:
        return None
    names = {name: (name, *aliases.get(name, ())) for name in (*columns, *optional)}
    separator = _separator(text, names)
    (first, heading), *rows = _records(path, text, separator) or [(1, [])]
    heading = [_clean(name) for name in heading]
    if others:
        known = {folded(name) for every in names.values() for name in every}
        names |= {name: (name,) for name in heading if name and folded(name) not in known}
    places = _places(f"{path}, line {first}", heading, names, separator)
    if missing := [name for name in columns if name not in places]:
        raise DataRootError(
            f"{path}, line {first}: no column {', '.join(missing)}; "
            f"{_seen_columns(heading, separator)}; {remedy}."
        )
    cells = [[_clean(row[p]) if p < len(row) else "" for p in places.values()] for _, row in rows]
    table = pd.DataFrame(
        np.array(cells, dtype=object).reshape(-1, len(places)),
        columns=list(places),
        index=pd.Index([line for line, _ in rows], dtype=np.int64, name="line"),
    )
    table[RAGGED] = np.array([_surplus(row, len(heading)) for _, row in rows], np.int64)
    table.attrs["separator"] = separator
    return table


def heading_of(path: Path) -> list[str] | None:
    """Return the names of a table's columns, for a caller that knows several layouts.

    Each is without blanks, underscores and case, as `folded` makes it. None if the file does not
    exist.

    Raises:
        DataRootError: The file is not CSV text.
    """
    text = _text(path)
    if text is None:
        return None
    found = [_first_record(text, separator) for separator in SEPARATORS]
    return [folded(name) for name in max(found, key=len)]


def folded(text: str) -> str:
    """Return a heading or an identifier without blanks, underscores, hyphens and case."""
    return _IGNORED.sub("", text).casefold()


def numbers(table: pd.DataFrame, columns: Sequence[str], *, booleans: bool = False) -> pd.DataFrame:
    """Return a copy with `columns` as float64; invalid numbers become NaN.

    Where the separator is no comma, a comma is a decimal point, as in most of Europe.

    Args:
        table: From `read_table`.
        columns: Columns to change.
        booleans: Whether true, false, yes and no, in any case, are 1 and 0.
    """
    parsed: dict[str, NDArray[np.float64]] = {}
    for name in columns:
        cells = table[name].astype(str)
        if table.attrs.get("separator", ",") != ",":
            cells = cells.str.replace(_DECIMAL_COMMA, r"\1.\2", regex=True)
        if booleans:
            cells = cells.map(lambda cell: _BOOLEANS.get(cell.casefold(), cell))
        parsed[name] = np.asarray(pd.to_numeric(cells, errors="coerce"), np.float64)
    return table.assign(**parsed)


def _text(path: Path) -> str | None:
    """Return the whole file, without a byte-order mark and a spreadsheet's `sep=` line."""
    try:
        content = path.read_bytes()
        wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        # Spreadsheets write a byte-order mark, and UTF-16 as "Unicode text".
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DataRootError(
            f"{path} cannot be read as a CSV table; save it as CSV text, UTF-8."
        ) from error
    # A blank line keeps the numbers of the lines below.
    return _SEPARATOR_LINE.sub("", text, count=1)


def _first_record(text: str, separator: str) -> list[str]:
    """Return the heading with this separator; [] where it cannot be read so."""
    try:
        for row in _rows(text, separator):
            if any(name.strip() for name in row):
                return [_clean(name) for name in row]
    except csv.Error:
        pass
    return []


def _separator(text: str, names: Mapping[str, Sequence[str]]) -> str:
    """Return the separator under which the heading has most of the columns."""
    wanted = {folded(name) for every in names.values() for name in every}

    def known(separator: str) -> tuple[int, int]:
        heading = _first_record(text, separator)
        return len(wanted & {folded(name) for name in heading}), len(heading)

    return max(SEPARATORS, key=known)


def _places(
    where: str, heading: Sequence[str], names: Mapping[str, Sequence[str]], separator: str
) -> dict[str, int]:
    """Return the place in the heading of every column that is there."""
    own = [folded(name) for name in heading]
    found: dict[str, int] = {}
    for name, every in names.items():
        places = [k for k, text in enumerate(own) if text in {folded(one) for one in every}]
        if len(places) > 1:
            raise DataRootError(
                f"{where}: column {name} occurs twice; {_seen_columns(heading, separator)}; "
                "remove one."
            )
        if places:
            found[name] = places[0]
    # In the order of the file, in which wrong cells are reported.
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _seen_columns(heading: Sequence[str], separator: str) -> str:
    """Return a clause on the columns that were seen.

    A file without a heading begins with a row of data, which may hold a patient's name: only what
    looks like the name of a column is quoted.
    """
    if not any(heading):
        return "there is no heading"
    shown = [name for name in heading if _NAME.fullmatch(name)][:_SHOWN]
    rest = len(heading) - len(shown)
    listed = ", ".join([*shown, *([f"{rest} more"] if rest and shown else [])])
    return (
        f"the columns seen, separated by {SEPARATORS[separator]}, are "
        f"{listed or f'{rest}, without names'}"
    )


def _rows(text: str, separator: str) -> Any:  # noqa: ANN401 - the reader's type has no name
    # Strict, or an open quotation mark would silently swallow the rest of the file.
    stream = io.StringIO(text, newline="")
    return csv.reader(stream, delimiter=separator, skipinitialspace=True, strict=True)


def _records(path: Path, text: str, separator: str) -> list[tuple[int, list[str]]]:
    """Return (line in which it begins, values) of every row with a value, the heading first."""
    reader = _rows(text, separator)
    records: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for row in reader:
            if any(value.strip() for value in row):
                records.append((line, row))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataRootError(
            f"{path}, line {line}: it cannot be read as CSV; check its quotation marks."
        ) from error
    return records


def _clean(cell: str) -> str:
    """Return a cell without blanks, padding and a byte-order mark around it, and unescaped."""
    return plain_cell(cell.strip(_AROUND)).strip(_AROUND)


def _surplus(row: list[str], columns: int) -> int:
    """Return the number of surplus (ignoring trailing empty ones) or missing values of a row."""
    if len(row) <= columns:
        return len(row) - columns
    return max(k + 1 for k, value in enumerate(row) if k < columns or value.strip()) - columns
