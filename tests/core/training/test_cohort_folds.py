"""Folds of a real data root are kept; those of generated studies follow the studies."""

from __future__ import annotations

import pytest

from core.config import RunConfig
from core.dataset.index import index_folder
from core.dataset.rsna import read_studies
from core.dataset.splits import assign_folds
from core.training.cohort import saved_folds
from tests.core.training.made_data_root import write_data_root
from tests.stores import made_store


@pytest.fixture
def config(tmp_path):
    root = write_data_root(tmp_path / "root", studies=6, slices=3)
    return RunConfig(task="fracture", data_root=root, folds=3, seed=4)


def test_real_folds_are_saved_and_survive_a_corrected_label(config, tmp_path):
    (config.data_root / "phantom.json").unlink()
    cache = tmp_path / "cache"
    first = saved_folds(read_studies(config.data_root), config, made_store(cache))
    assert first == assign_folds(read_studies(config.data_root), 3, 4)
    assert (index_folder(config.data_root, cache) / "folds-3-seed-4.json").is_file()
    table = config.data_root / "train.csv"
    table.write_text(table.read_text().replace("1.2.1,0,0", "1.2.1,1,1"))
    assert saved_folds(read_studies(config.data_root), config, made_store(cache)) == first


def test_folds_of_generated_studies_leave_no_file(config, tmp_path):
    folds = saved_folds(read_studies(config.data_root), config, made_store(tmp_path / "cache"))
    assert folds == assign_folds(read_studies(config.data_root), 3, 4)
    assert not (tmp_path / "cache").exists()
