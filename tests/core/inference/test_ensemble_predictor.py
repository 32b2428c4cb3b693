"""An ensemble over a study gives what its members give, combined."""

import numpy as np
import pytest
import torch

from core.dicom.series import read_series
from core.errors import BundleError
from core.inference.batch import predict_folder
from core.inference.boxes.study_scores import load_predictor
from core.inference.ensemble import Combination, combine_predictions
from core.inference.ensemble_predictor import EnsemblePredictor
from core.inference.outputs import read_slices
from core.inference.study_predictor import StudyPrediction, StudyPredictor
from core.models.bundles import BundleConfig, read_bundle
from core.models.checkpoint import save_bundle
from core.models.pairs import BundlePair
from core.models.registry import build_model
from core.types import FileBox, RawDetections
from tests.core.ensembles import write_ensemble


@pytest.fixture(scope="module")
def bundles(untrained_bundles, tmp_path_factory):
    """Two Type 1 networks and one of Type 3, and an ensemble of all three."""
    root = tmp_path_factory.mktemp("bundles")
    members = [untrained_bundles / "fracture-untrained"]
    for seed, type in ((1, 1), (2, 3)):
        torch.manual_seed(seed)
        config = BundleConfig(
            name=f"other{type}", task="fracture", type=type, backbone="mobilenet_v3_large",
            size=32, crop=1.0, window_center=400, window_width=1800, weights_sha256="0" * 64,
            parameters=1, trained_on={}, created="2026-01-01T00:00:00+00:00",
        )  # fmt: skip
        save_bundle(root / config.name, build_model("fracture", type, config.backbone), config)
        members.append(root / config.name)
    write_ensemble(root / "all", members, (1.0, 2.0, 3.0))
    vertebra = read_bundle(untrained_bundles / "vertebra-untrained")
    return vertebra, [read_bundle(member) for member in members], read_bundle(root / "all")


@pytest.fixture(scope="module")
def study(phantom_root):
    return sorted((phantom_root / "train_images").iterdir())[0]


def test_it_combines_what_each_member_gives(bundles, study):
    vertebra, members, ensemble = bundles
    volume = read_series(study)
    steps = []
    found = load_predictor(BundlePair(vertebra, ensemble), device="cpu").predict(
        volume, progress=lambda done, total: steps.append((done, total))
    )
    pairs = [BundlePair(vertebra, one) for one in members[:2]] + [
        BundlePair(members[2], members[2])
    ]
    each = [load_predictor(pair, device="cpu").predict(volume) for pair in pairs]
    wanted = combine_predictions(each, Combination("log_odds", (1.0, 2.0, 3.0)), found.models)
    np.testing.assert_allclose(found.fracture_probs, wanted.fracture_probs, atol=1e-6)
    np.testing.assert_allclose(found.vertebra_probs, wanted.vertebra_probs, atol=1e-6)
    # The Type 3 network keeps its own presence.
    mixed = (each[0].vertebra_probs * 3 + each[2].vertebra_probs * 3) / 6
    np.testing.assert_allclose(found.vertebra_probs, mixed, atol=1e-6)
    assert (found.fracture_type, found.models) == (2, ("vertebra-untrained", "all"))
    assert steps == sorted(steps)
    assert steps[-1] == (volume.n_slices, volume.n_slices)


def test_a_folder_of_studies_is_predicted_and_stored(bundles, phantom_root, tmp_path):
    vertebra, _, ensemble = bundles
    pair = BundlePair(vertebra, ensemble)
    summary = predict_folder(phantom_root, tmp_path / "out", pair, device="cpu")
    stored = read_slices(tmp_path / "out" / "slices.parquet")
    assert summary.n_studies == len(stored) == 3
    assert {one.models for one in stored} == {("vertebra-untrained", "all")}


class Fixed(StudyPredictor):
    """Gives the same prediction, and remembers the boxes it was given."""

    def __init__(self, predictions, raw=None):
        self.found, self.given = StudyPrediction(predictions, raw), []

    def predict(self, volume, *, progress=None):
        return self.found.predictions

    def predict_with_boxes(self, volume, *, raw=None, progress=None):
        self.given.append(raw)
        return self.found

    def boxes_of(self, prediction, volume):
        return (FileBox(1, (0, 0, 1, 1), 0.5),) if prediction.raw is not None else ()


def test_boxes_go_to_and_come_from_the_first_localiser(bundles, study):
    vertebra, members, ensemble = bundles
    volume = read_series(study)
    base = load_predictor(BundlePair(vertebra, members[0]), device="cpu").predict(volume)
    raw = RawDetections(
        base.study_id, np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64),
        2, base.z_mm,
    )  # fmt: skip
    predictors = [Fixed(base), Fixed(base, raw), Fixed(base, raw)]
    pair = BundlePair(vertebra, ensemble)
    own = EnsemblePredictor(pair, [BundlePair(vertebra, one) for one in members], predictors)
    own._by_boxes = [False, True, True]
    found = own.predict_with_boxes(volume, raw=raw)
    assert [one.given for one in predictors] == [[None], [raw], [None]]
    assert found.raw is raw
    assert len(own.boxes_of(found, volume)) == 1
    with pytest.raises(BundleError, match="not an ensemble"):
        EnsemblePredictor(BundlePair(vertebra, members[0]), [], [])
