"""The kernel of a study in its index, also from shards of before there was this fact."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from core.dataset.index_kernel import commonest
from core.dataset.index_shards import read_shard, shard_path
from tests.core.dataset.made_root import add_study, index_here, study_of


def sharp(data, number):
    del number
    data.ConvolutionKernel = "B60f"


@pytest.fixture
def root(tmp_path):
    add_study(tmp_path / "root", "1.1", slices=4, edit=sharp)
    add_study(tmp_path / "root", "1.2", slices=4)
    return tmp_path / "root"


def test_the_index_names_the_kernel(root):
    index = index_here(root)
    assert study_of(index, "1.1")["kernel"] == "B60F"
    assert study_of(index, "1.2")["kernel"] == ""


def test_an_older_shard_gives_its_kernel_without_reading_a_file(root):
    index = index_here(root)
    for study, kernel in (("1.1", "B60F"), ("1.2", "")):
        path = shard_path(index.folder, study)
        table = pq.read_table(path)
        metadata = dict(table.schema.metadata)
        facts = json.loads(metadata[b"facts"])
        del facts["kernel"]
        metadata[b"facts"] = json.dumps(facts).encode()
        pq.write_table(table.replace_schema_metadata(metadata), path)
        assert read_shard(path).facts["kernel"] == kernel


def test_the_commonest_name_that_is_not_empty():
    assert commonest(["", "", "", "a", "b", "b"]) == "b"
    assert commonest(["", ""]) == commonest([]) == ""
