from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from core.constants import VERTEBRAE
from core.dicom.series import read_series
from core.experiments import abstention
from core.experiments.abstention import fit_abstention, shipped_bundles
from core.experiments.cohorts import FOLDS
from core.inference.outputs import write_slices
from core.inference.predictor import Predictor
from core.models.bundles import list_bundles, read_bundle
from core.models.checkpoint import save_bundle
from core.models.pairs import BundlePair
from core.models.registry import build_model
from tests.core.inference.test_study_scores import two_vertebrae


@pytest.fixture(scope="module")
def fitted(untrained_bundles, phantom_root, tmp_path_factory):
    """Two bundles of random weights with what makes them abstain, fitted to made predictions."""
    base = tmp_path_factory.mktemp("abstention")
    checkpoints = base / "checkpoints"
    torch.manual_seed(0)
    images = torch.randint(0, 255, (16, 32, 32), dtype=torch.uint8)
    for bundle in list_bundles(untrained_bundles):
        config = bundle.config
        model = build_model(config.task, config.type, config.backbone)
        with torch.no_grad():
            # Batch norms that have seen images give features of about 1.
            for _ in range(30):
                model(images)
        save_bundle(checkpoints / bundle.folder.name, model, config)
    rng = np.random.default_rng(0)
    studies, truth = [], {"study_id": []} | {f"y_{name}": [] for name in VERTEBRAE}
    for k in range(40):
        made = two_vertebrae()
        made.fracture_probs[:] = rng.random()
        studies.append(replace(made, study_id=f"1.{k}"))
        truth["study_id"].append(f"1.{k}")
        for name in VERTEBRAE:
            truth[f"y_{name}"].append(name == "C1" and k % 2 == 0)
    folder = checkpoints / "fracture-untrained"
    FOLDS.predictions_file(folder).parent.mkdir()
    write_slices(FOLDS.predictions_file(folder), studies)
    FOLDS.truth_file(checkpoints).parent.mkdir()
    table = pd.DataFrame(truth)
    table["patient_overall"] = table["y_C1"]
    table.to_parquet(FOLDS.truth_file(checkpoints))
    volumes = [read_series(one) for one in sorted((phantom_root / "train_images").iterdir())]

    def noisy(k):
        volume, rng = volumes[k % len(volumes)], np.random.default_rng(k)
        noise = rng.normal(0, 40, volume.hu.shape) + rng.normal(0, 40)
        return replace(volume, hu=(volume.hu + noise).astype(np.int16))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(abstention, "made_cohort", lambda *_, **__: list(range(12)))
        patch.setattr(abstention, "_volume_of", noisy)
        # Untrained networks see a level on every slice or nowhere.
        patch.setattr("core.inference.distribution.PRESENT", 0.0)
        patch.setattr("core.inference.distribution.COMPONENTS", 3)
        lines = fit_abstention(list_bundles(checkpoints), base)
        yield checkpoints, lines, volumes


@pytest.mark.slow
def test_each_bundle_gets_the_parts_that_apply_to_it(fitted):
    checkpoints, lines, _ = fitted
    vertebra = read_bundle(checkpoints / "vertebra-untrained")
    fracture = read_bundle(checkpoints / "fracture-untrained")
    assert vertebra.reference is not None
    assert vertebra.region is None
    assert fracture.reference is None
    assert fracture.region.fractured == fracture.region.not_fractured == 20
    assert vertebra.reference.studies == 12
    assert len(lines) == 2


@pytest.mark.slow
def test_the_networks_score_a_study_in_the_same_pass(fitted, monkeypatch):
    checkpoints, _, volumes = fitted
    found = BundlePair(
        read_bundle(checkpoints / "vertebra-untrained"),
        read_bundle(checkpoints / "fracture-untrained"),
    )
    predictor = Predictor(*found[:2], device="cpu")
    passes = []
    predictor._vertebra_model.backbone.register_forward_hook(lambda *_: passes.append(1))
    predicted = predictor.predict(volumes[0])
    assert len(passes) == -(-volumes[0].n_slices // 32)
    assert predicted.distribution_score == pytest.approx(
        predictor.see(volumes[0]).distribution_score
    )
    assert 0 < predicted.distribution_score < 10
    plain = Predictor(*(replace(bundle, abstention=None) for bundle in found[:2]), device="cpu")
    unscored = plain.predict(volumes[0])
    assert unscored.distribution_score is None
    np.testing.assert_array_equal(unscored.vertebra_probs, predicted.vertebra_probs)
    noise = np.random.default_rng(0).integers(-1000, 2000, volumes[0].hu.shape, dtype=np.int16)
    other = predictor.predict(replace(volumes[0], hu=noise))
    assert other.distribution_score > predicted.distribution_score


def test_stored_predictions_are_made_again_once_there_is_a_reference(fitted, untrained_bundles):
    def digest(folder):
        names = ("vertebra-untrained", "fracture-untrained")
        return BundlePair(*(read_bundle(folder / name) for name in names)).digest

    assert digest(fitted[0]) != digest(untrained_bundles)


def test_named_bundles_only(untrained_bundles):
    folder = untrained_bundles / "vertebra-untrained"
    assert [b.folder for b in shipped_bundles(untrained_bundles, [folder])] == [folder]
    assert len(shipped_bundles(untrained_bundles)) == 2
