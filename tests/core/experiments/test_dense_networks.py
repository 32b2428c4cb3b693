"""Dense networks of a small cohort: one map for all types, held-out folds, outputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.config import PROJECT_ROOT, RunConfig, Settings
from core.dataset.rsna import read_studies
from core.dataset.splits import assign_folds
from core.dicom.series import read_series
from core.experiments.cohort_outputs import CohortOutputs
from core.experiments.cohorts import FOLDS
from core.experiments.dense_networks import add_dense, dense_bundles, train_dense
from core.inference.predictor import Predictor
from core.models.bundles import read_bundle
from core.models.checkpoint import load_model
from core.types import SlicePredictions

pytestmark = pytest.mark.training

CHECKPOINTS = PROJECT_ROOT / "checkpoints"
N_FOLDS = 2


def config(root, kind):
    return RunConfig(
        task="fracture", type=kind, head="dense", freeze_backbone=True, data_root=root, size=64,
        field_mm=88, channels="neighbours", fracture_target="line", balanced=True, epochs=1,
        max_lr=3e-3, folds=N_FOLDS, seed=3, device="cpu",
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(phantom_root, tmp_path_factory):
    """Heads of two folds, and their outputs with a presence of one half everywhere."""
    work = tmp_path_factory.mktemp("work")
    (work / FOLDS.name).symlink_to(phantom_root)
    settings = Settings(checkpoints=CHECKPOINTS, rsna_cache=work / "cache")
    configs = {f"fracture_type{kind}": config(phantom_root, kind) for kind in (3, 2, 1)}
    train_dense(settings, work, configs)
    records = read_studies(phantom_root)
    seen = []
    for record in records:
        volume = read_series(record.folder)
        half = np.full((volume.n_slices, 7), 0.5, np.float32)
        seen.append(SlicePredictions(record.study_id, volume.z_mm, half, half, 2))
    folds = assign_folds(records, N_FOLDS, 3)
    outputs = add_dense(
        CohortOutputs(records, {"vertebra_type1": seen}), configs, folds, work, settings.store
    )
    return work, configs, folds, outputs


def test_all_types_share_the_line_map_of_their_fold(made):
    work, configs, _, _ = made
    for fold in range(N_FOLDS):
        bundles = dense_bundles(work, configs, fold)
        states = {name: load_model(bundle).state_dict() for name, bundle in bundles.items()}
        line = states["fracture_type1"]
        for state in states.values():
            for name, value in line.items():
                assert torch.equal(value.expand_as(state[name]), state[name]), name
    one, other = (
        load_model(dense_bundles(work, configs, fold)["fracture_type1"]).state_dict()
        for fold in range(N_FOLDS)
    )
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_a_bundle_names_the_studies_that_it_has_seen(made):
    work, configs, folds, outputs = made
    usable = {r.study_id for r in outputs.records if r.boxes or not any(r.fractured)}
    bundle = dense_bundles(work, configs, 1)["fracture_type2"]
    known = bundle.config.trained_on
    assert known["studies"] == sum(fold != 1 and name in usable for name, fold in folds.items())
    assert known["init_from"] == "localization_mobilenet_v3_large"
    assert known["run"]["fold"] == 1


def test_each_study_is_predicted_by_its_fold_and_types_differ_by_the_presence_alone(made):
    work, configs, folds, outputs = made
    logits = {}
    for kind in (1, 2):
        f = np.concatenate([one.fracture_probs for one in outputs.raw[f"fracture_type{kind}"]])
        f = np.clip(f.astype(np.float64), 1e-7, 1 - 1e-7)
        logits[kind] = np.log(f) - np.log1p(-f)
    np.testing.assert_allclose(logits[2], logits[1] + np.log(0.5), atol=0.02)
    number = next(k for k, r in enumerate(outputs.records) if folds[r.study_id] == 1)
    bundles = dense_bundles(work, configs, 1)
    alone = Predictor(
        bundles["fracture_type3"], bundles["fracture_type3"], device="cpu", bfloat16=False
    ).predict(read_series(outputs.records[number].folder))
    stored = outputs.raw["fracture_type3"][number]
    np.testing.assert_allclose(stored.fracture_probs, alone.fracture_probs, atol=1e-3)
    np.testing.assert_allclose(stored.vertebra_probs, alone.vertebra_probs, atol=1e-3)
    assert read_bundle(bundles["fracture_type3"].folder).config.gives_presence
