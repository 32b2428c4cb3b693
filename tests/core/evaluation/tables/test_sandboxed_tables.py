"""Tables read in another process: what this one would read, and no harm to it."""

from __future__ import annotations

import sys
from dataclasses import fields

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import DataRootError, PredictionsError
from core.evaluation.tables.attribute_columns import read_columns
from core.evaluation.tables.outside_scores import read_outside_scores
from core.evaluation.tables.sandboxed_tables import (
    confined_tables,
    read_columns_confined,
    read_scores_confined,
    read_truth_confined,
)
from core.evaluation.tables.score_files import read_score_table, read_truth_table
from core.system.process_limits import Limits
from tests.dashboard.made_predictions import write_predictions_place

WIDE = "uid,Overall,C1,C2,C3,C4,C5,C6,C7\n1.2.3,0.5,0,0,0,0,0,0,0.5\n1.2.4,.1,0,0,0,0,0,0,.1\n"


@pytest.fixture(scope="module")
def reader():
    made = confined_tables(Limits(512 << 20, 60))
    yield made
    made.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predictions")
    return write_predictions_place(folder, studies=3, slices=300, models=1)[0]


def check_same(found, expected):
    for one in fields(expected):
        got, wanted = getattr(found, one.name), getattr(expected, one.name)
        if isinstance(wanted, np.ndarray):
            assert got.dtype == wanted.dtype
            assert not got.flags.writeable
            np.testing.assert_array_equal(got, wanted)
        else:
            assert got == wanted


def test_scores_with_slices_are_those_that_this_process_would_read(place, reader):
    path = place / "predictions" / "held_out.parquet"
    check_same(read_scores_confined(path, "m", reader), read_score_table(path, "m"))
    check_same(read_scores_confined(path, None, reader), read_score_table(path))


def test_a_text_table_is_known_by_its_ending(tmp_path, reader):
    path = tmp_path / "scores.CSV"
    path.write_text(WIDE)
    check_same(read_scores_confined(path, "m", reader), read_outside_scores(path, "m").table)


def test_truth_is_that_which_this_process_would_read(tmp_path, reader):
    path = tmp_path / "train.csv"
    path.write_text(
        "StudyInstanceUID,patient_overall,C1,C2,C3,C4,C5,C6,C7\n1.2,1,0,1,0,0,0,0,0\n"
        "1.3,0,0,0,0,0,0,0,0\n"
    )
    check_same(read_truth_confined(path, reader), read_truth_table(path))


def test_what_is_wrong_is_said_in_the_readers_words(tmp_path, reader):
    (tmp_path / "scores.csv").write_text("nonsense")
    with pytest.raises(PredictionsError) as here:
        read_outside_scores(tmp_path / "scores.csv", "m")
    with pytest.raises(PredictionsError) as there:
        read_scores_confined(tmp_path / "scores.csv", "m", reader)
    assert str(there.value) == str(here.value)
    with pytest.raises(DataRootError):
        read_truth_confined(tmp_path / "absent.csv", reader)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces the limit")
def test_a_small_file_of_very_many_rows_costs_the_child_alone(tmp_path, reader, place):
    """A column of one value is a few bytes on disk, whatever its number of rows."""
    known = pq.read_table(place / "predictions" / "held_out.parquet")
    path, rows = tmp_path / "bomb.parquet", 1 << 20
    one = {name: pa.repeat(known[name][0], rows) for name in known.column_names}
    with pq.ParquetWriter(path, pa.table(one).schema, compression="zstd") as writer:
        for _ in range(64):
            writer.write_table(pa.table(one))
    assert path.stat().st_size < 8 << 20
    with pytest.raises(PredictionsError, match=r"bomb\.parquet") as caught:
        read_scores_confined(path, "m", reader)
    assert str(caught.value).count(". ") == 0
    good = place / "predictions" / "held_out.parquet"
    check_same(read_scores_confined(good, "m", reader), read_score_table(good, "m"))


def test_added_columns_are_what_this_process_would_read(reader, tmp_path):
    path = tmp_path / "columns.csv"
    path.write_text("uid;Site;Dose\n1.2.3;Zürich;0,5\n1.2.4;;\n", encoding="utf-8")
    found, expected = read_columns_confined(path, reader), read_columns(path)
    check_same(found, expected)
    assert found.names == ("Site", "Dose")
    assert found.decimal_comma
    path.write_text("uid\n1.2.3\n")
    with pytest.raises(DataRootError, match="0 columns"):
        read_columns_confined(path, reader)
