"""One batch of a few studies shows whether a run can work; nothing is left behind."""

from __future__ import annotations

import math
import shutil

import pytest

from core.annotations.corrections import studies_of
from core.config import RunConfig
from core.errors import BundleError, CSpineError, DataRootError
from core.training.trial_batch import some_studies, try_batch
from tests.core.training.made_data_root import write_data_root


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_data_root(tmp_path_factory.mktemp("try") / "root", studies=6, slices=7)


def config(root, **changes):
    given = {
        "task": "fracture", "backbone": "shufflenet_v2_x2_0", "size": 32, "folds": 3,
        "batch_size": 4,
    }  # fmt: skip
    return RunConfig(data_root=root, device="cpu", **given | changes)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"fold": None, "batch_size": 64}, {"fold": "all"}])
def test_a_batch_is_trained_and_measured_from_a_few_studies(root, changes):
    before = sorted(path for path in root.rglob("*"))
    tried = try_batch(config(root, **changes))
    assert tried.studies == 4
    assert math.isfinite(tried.loss)
    assert tried.seconds > 0
    assert sorted(path for path in root.rglob("*")) == before


@pytest.mark.slow
def test_what_would_end_a_run_is_reported_before_it(root, tmp_path):
    with pytest.raises(DataRootError, match="folds"):
        try_batch(config(root, folds=7))
    with pytest.raises(BundleError):
        try_batch(config(root, init_from=tmp_path))
    shutil.copytree(root, tmp_path / "root")
    shutil.rmtree(tmp_path / "root" / "segmentations")
    with pytest.raises(CSpineError, match="segmentations"):
        try_batch(config(tmp_path / "root", task="vertebra"))


def test_both_classes_are_tried_and_studies_with_the_truth_come_first(root, tmp_path):
    shutil.copytree(root, tmp_path / "root")
    # Of the fractured studies 2, 4 and 6, the first has no mask any more.
    (tmp_path / "root" / "segmentations" / "1.2.2.nii").unlink()
    asked = config(tmp_path / "root")
    chosen = some_studies(studies_of(asked.data_root, None), asked)
    assert [record.study_id for record in chosen] == ["1.2.4", "1.2.6", "1.2.1", "1.2.3"]
