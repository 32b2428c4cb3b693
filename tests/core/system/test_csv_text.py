"""No text in a CSV of the program is a formula to a spreadsheet, and no number is changed."""

from __future__ import annotations

import ast
import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.system.csv_text import frame_csv, plain_cell, table_csv

WRITERS = {"to_csv", "writer", "DictWriter"}
READERS = {"read_csv", "read_table", "reader", "DictReader"}


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1", "-"],
)  # fmt: skip
def test_text_that_a_spreadsheet_would_run_is_escaped_and_comes_back(text):
    ((_,), (cell,)) = rows_of(table_csv(["note"], [[text]]))
    assert cell == "'" + text
    assert plain_cell(cell) == text


def test_a_heading_is_text_too():
    assert table_csv(["=A1", "b"], []) == "'=A1,b\n"


def test_numbers_stay_numbers():
    cells = [-1, -0.5, 1e-7, -1e300, np.float32(0.25), np.float64(-2.5), np.int64(-3), True,
             "-0.50", "+1", "-1e-3", "-.5", "1.2.840"]  # fmt: skip
    (row,) = rows_of(table_csv(["n"], [cells]))[1:]
    assert row == ["-1", "-0.5", "1e-07", "-1e+300", "0.25", "-2.5", "-3", "True", "-0.50", "+1",
                   "-1e-3", "-.5", "1.2.840"]  # fmt: skip


def test_what_is_missing_is_an_empty_cell():
    row = [None, float("nan"), np.float64("nan"), pd.NA, pd.NaT, ""]
    assert (
        table_csv(list("abcdef"), [row]) == 'a,b,c,d,e,f\n,,,,,""\n'
        or table_csv(list("abcdef"), [row]) == "a,b,c,d,e,f\n,,,,,\n"
    )


def test_a_frame_is_written_as_pandas_writes_it_but_for_formulas():
    frame = pd.DataFrame(
        {
            "id": ["1.2", "1.3"], "n": [-1, 2], "x": [0.1, np.nan], "yes": [True, False],
            "maybe": pd.array([True, None], "boolean"), "count": pd.array([None, 4], "Int64"),
        }
    )  # fmt: skip
    assert frame_csv(frame) == frame.to_csv(index=False)
    assert rows_of(frame_csv(frame.assign(id=["=1", "a"])))[1][0] == "'=1"


@given(st.text(max_size=12))
def test_no_cell_of_text_starts_a_formula_and_none_is_lost(text):
    if "\0" in text:
        return
    stream = io.StringIO(table_csv(["a", "b"], [[text, "z"]]), newline="")
    cell = list(csv.reader(stream))[1][0]
    starts = cell.lstrip()[:1] in tuple("=+-@＝＋－＠") or cell[:1] in tuple("\t\r\n")
    number = cell.lstrip("+-").replace(".", "", 1).replace("e", "", 1).isascii()
    assert not starts or (number and cell[1:2] in tuple("0123456789."))
    if not (text.startswith(("'", '="'))):
        assert plain_cell(cell) == text


@pytest.mark.parametrize("cell", ["'quoted", "=x", "", "'", '="', "'s-Gravenhage"])
def test_other_cells_are_left_as_they_are(cell):
    assert plain_cell(cell) == cell


def test_an_identifier_kept_as_text_by_a_spreadsheet_is_read():
    assert plain_cell('="1.2.840"') == "1.2.840"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "home"),
    [(WRITERS, "core/system/csv_text.py"), (READERS, "core/dataset/csv_reader.py")],
)
def test_every_table_goes_through_the_one_writer_and_the_one_reader(repo_root: Path, names, home):
    found = set()
    for folder in ("core", "dashboard", "pages", "scripts"):
        for path in sorted((repo_root / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                    continue
                owner = node.func.value
                of = owner.id if isinstance(owner, ast.Name) else ""
                if node.func.attr in names and (node.func.attr == "to_csv" or of in ("csv", "pd")):
                    found.add(path.relative_to(repo_root).as_posix())
    assert found == {home}
