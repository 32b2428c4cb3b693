"""A finished run predicts the patients that it held out, and no others."""

from __future__ import annotations

import shutil

import pytest

from core.config import RunConfig
from core.dataset.rsna import read_studies
from core.errors import ConfigError
from core.experiments.run_scores import score_run
from core.inference.outputs import find_slices, read_slices
from core.training.cohort import saved_folds
from core.training.run_files import RunFiles
from core.types import Store
from tests.dashboard.fixtures import at_work, workplace

__all__ = ["at_work", "workplace"]


def finished(at_work, folder, **changes):
    config = RunConfig(
        **({"task": "fracture", "data_root": at_work.var / "demo", "folds": 2} | changes)
    )
    folder.mkdir()
    RunFiles(folder).request(config)
    shutil.copytree(at_work.checkpoints / "fracture-made", folder / "bundle")
    return config


def score(at_work, folder, store):
    calls = []
    target = score_run(
        folder, store=store, checkpoints=at_work.checkpoints,
        progress=lambda done, total: calls.append((done, total)),
    )  # fmt: skip
    return target, calls


@pytest.mark.slow
@pytest.mark.parametrize("fold", [0, 1])
def test_the_held_out_fold_alone_is_predicted(at_work, tmp_path, fold):
    store = Store(tmp_path / "cache", 1 << 30, 0)
    config = finished(at_work, tmp_path / "run", fold=fold)
    target, calls = score(at_work, tmp_path / "run", store)
    folds = saved_folds(read_studies(config.data_root), config, store)
    held_out = {name for name, own in folds.items() if own == fold}
    assert target == tmp_path / "run" / "predictions"
    table = find_slices(target)
    assert {study.study_id for study in read_slices(table)} == held_out
    assert calls == [(n, len(held_out)) for n in range(1, len(held_out) + 1)]


def test_a_run_without_one_held_out_fold_is_refused(at_work, tmp_path):
    finished(at_work, tmp_path / "run", fold=None)
    with pytest.raises(ConfigError, match="no single held-out fold"):
        score(at_work, tmp_path / "run", Store(tmp_path / "cache", 1 << 30, 0))
