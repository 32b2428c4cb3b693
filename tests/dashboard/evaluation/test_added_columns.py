"""Columns that users add: kept by truth, listed, forgotten; bad ones are one sentence."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import DataRootError, PredictionsError
from dashboard.evaluation import added_columns
from dashboard.evaluation.added_columns import add_columns, forget_columns, list_added
from dashboard.evaluation.imports import import_csv, list_imports
from tests.dashboard.evaluation.test_parts import WIDE, settings

__all__ = ["settings"]

IDS = np.array([f"1.2.{k}" for k in range(6)])
SITES = b"uid,Site\n" + b"".join(f"1.2.{k},{'pq'[k % 2]}\n".encode() for k in range(6))


def add(settings, content: bytes = SITES, name: str = "sites", truth: str = "held_out"):
    return add_columns(settings, name, content, truth_id=truth, study_ids=IDS)


def test_a_table_is_kept_listed_by_its_truth_and_forgotten(settings):
    assert add(settings) == ["Site"]
    (found,) = list_added(settings, "held_out")
    assert (found.name, found.table.read_bytes()) == ("sites", SITES)
    assert list_added(settings, "training") == []
    add(settings)
    assert len(list_added(settings, "held_out")) == 1
    forget_columns(settings, found)
    assert list_added(settings, "held_out") == []
    with pytest.raises(PredictionsError, match="reload"):
        forget_columns(settings, found)


def test_added_columns_are_no_models_and_models_no_columns(settings):
    add(settings)
    import_csv(settings, "A model", WIDE, truth_id="held_out")
    assert [one.name for one in list_imports(settings)] == ["A model"]
    assert [one.name for one in list_added(settings, "held_out")] == ["sites"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"site\np\n", "no column StudyInstanceUID"),
        (b"uid,site\n9.9,p\n", "None of the 1 rows"),
        (b"uid,site\n1.2.0,p\n1.2.1,p\n", "No column divides"),
        (b"uid,site\n\xff\xfe", "cannot be read as a CSV"),
    ],
)
def test_a_bad_table_is_one_sentence_and_nothing_is_kept(settings, content, sentence):
    with pytest.raises(DataRootError, match=sentence):
        add(settings, content)
    assert list_added(settings, "held_out") == []


def test_a_large_table_and_a_read_only_dashboard_are_refused(settings, monkeypatch):
    monkeypatch.setattr(added_columns, "MAX_COLUMNS_MIB", 0)
    with pytest.raises(DataRootError, match="larger than 0 MiB"):
        add(settings)
    monkeypatch.setenv("DASHBOARD_READONLY", "1")
    with pytest.raises(PredictionsError):
        add(settings)
