"""The three commands over studies give the same files on a cluster as on this machine."""

import os
import signal
from pathlib import Path

import pandas as pd
import pytest

from core.dataset.index import INDEX_FILE, STUDIES_FILE, build_index
from core.system.parallel import Workers
from tests.core.dataset.made_root import add_study
from tests.core.system.cluster import loopback_cluster

TABLES = (INDEX_FILE, STUDIES_FILE)


@pytest.fixture
def root_of_twelve(tmp_path) -> Path:
    for k in range(12):
        add_study(tmp_path / "root", f"1.{k}", slices=60, edge=32)
    return tmp_path / "root"


def test_index_on_a_cluster_writes_the_bytes_that_it_writes_here(
    run, phantom_root, cluster, tmp_path, monkeypatch
):
    tables = []
    for name, where in (("here", ("--jobs", 1)), ("there", ("--dask", cluster.address))):
        monkeypatch.setenv("RSNA_CACHE", str(tmp_path / name))
        status, out, errors = run("index", phantom_root, *where)
        assert status == 0, errors
        folder = Path(out.rpartition("Index in ")[2].strip())
        assert folder.is_relative_to(tmp_path / name)
        tables.append([(folder / table).read_bytes() for table in TABLES])
    assert tables[0] == tables[1]


@pytest.mark.server
def test_killing_a_worker_midway_leaves_the_same_index(root_of_twelve, tmp_path):
    here = build_index(root_of_twelve, tmp_path / "here", workers=Workers(jobs=1))
    (tmp_path / "cluster").mkdir()
    with loopback_cluster(tmp_path / "cluster") as cluster:

        def kill_at_the_third(done, _):
            if done == 3:
                os.kill(cluster.pids[0], signal.SIGKILL)

        there = build_index(
            root_of_twelve, tmp_path / "there", workers=Workers(dask=cluster.address),
            progress=kill_at_the_third,
        )  # fmt: skip
    assert len(there.studies) == 12
    for table in TABLES:
        assert (here.folder / table).read_bytes() == (there.folder / table).read_bytes()


def test_cache_on_a_cluster_leaves_the_entries_that_it_leaves_here(
    run, phantom_root, cluster, tmp_path, monkeypatch
):
    images = []
    for name, where in (("here", ("--jobs", 1)), ("there", ("--dask", cluster.address))):
        monkeypatch.setenv("RSNA_CACHE", str(tmp_path / name))
        status, out, errors = run("cache", phantom_root, "--size", 32, *where)
        assert status == 0, errors
        assert "3 studies prepared" in out
        found = sorted((tmp_path / name / "slices").rglob("images.npy"))
        images.append([(file.parent.name, file.read_bytes()) for file in found])
    assert len(images[0]) == 3
    assert images[0] == images[1]


def test_predict_on_a_cluster_writes_the_table_that_it_writes_here(
    run, phantom_root, cluster, tmp_path
):
    for name, where in (("here", ("--jobs", 1)), ("there", ("--dask", cluster.address))):
        status, out, errors = run("predict", phantom_root, "--out", tmp_path / name, *where)
        assert status == 0, errors
        assert "3 studies" in out
    files = [tmp_path / name / "slices.parquet" for name in ("here", "there")]
    here, there = map(pd.read_parquet, files)
    pd.testing.assert_frame_equal(here, there, rtol=1e-5)
