"""A vertebra network and a localiser predict a study together."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from core.config import PROJECT_ROOT
from core.constants import BOXES_TYPE
from core.dataset.rsna import read_studies
from core.dicom.series import read_series
from core.errors import BundleError
from core.experiments.shipped_localizer import NAME
from core.inference.batch import predict_folder
from core.inference.boxes.boxes_csv import read_boxes
from core.inference.boxes.evidence import box_outputs
from core.inference.boxes.predictor import BoxPredictor
from core.inference.boxes.study_scores import BoxEvidencePredictor, load_predictor
from core.inference.outputs import SLICES_FILE, read_slices, write_predictions
from core.inference.predictor import Predictor
from core.inference.segmentation import SegmentationPredictor
from core.models.bundles import read_bundle
from core.models.pairs import BundlePair, choose_pair, choose_segmenter

SHIPPED = PROJECT_ROOT / "checkpoints"


@pytest.fixture(scope="module")
def pair():
    return BundlePair(read_bundle(SHIPPED / "vertebra_type1"), read_bundle(SHIPPED / NAME))


@pytest.fixture(scope="module")
def folder(phantom_root):
    return read_studies(phantom_root)[0].folder


@pytest.fixture(scope="module")
def volume(folder):
    return read_series(folder)


@pytest.fixture(scope="module")
def predictor(pair):
    return load_predictor(pair, device="cpu")


@pytest.fixture(scope="module")
def prediction(predictor, volume):
    return predictor.predict_with_boxes(volume)


@pytest.mark.slow
def test_it_equals_both_networks_run_separately(pair, volume, prediction):
    networks = Predictor(pair.vertebra, read_bundle(SHIPPED / "fracture_type1"), device="cpu")
    seen = networks.predict(volume)
    raw = BoxPredictor([pair.fracture], device="cpu").predict(volume)
    expected = box_outputs(raw, seen, pair.fracture.config.box_weights)
    found = prediction.predictions
    assert found.fracture_type == BOXES_TYPE
    assert found.models == ("vertebra_type1", NAME)
    assert found.instance_numbers == seen.instance_numbers
    assert np.array_equal(found.vertebra_probs, seen.vertebra_probs)
    np.testing.assert_allclose(found.fracture_probs, expected.fracture_probs, rtol=1e-5)


@pytest.mark.slow
def test_known_boxes_are_not_predicted_again(predictor, volume, prediction, monkeypatch):
    def never(*_, **__):
        raise AssertionError("the localiser ran")

    monkeypatch.setattr(BoxPredictor, "predict", never)
    ticks = []
    kept = replace(prediction.raw, study_id="named by its folder")
    again = predictor.predict_with_boxes(
        volume, raw=kept, progress=lambda *tick: ticks.append(tick)
    )
    assert np.array_equal(again.predictions.fracture_probs, prediction.predictions.fracture_probs)
    assert again.predictions.study_id == volume.study_uid
    assert ticks[-1] == (volume.n_slices, volume.n_slices)


@pytest.mark.slow
def test_progress_counts_slices_up_to_all(predictor, volume):
    ticks = []
    predictor.predict(volume, progress=lambda *tick: ticks.append(tick))
    assert ticks == sorted(ticks)
    assert ticks[-1] == (volume.n_slices, volume.n_slices)
    assert ticks[0][0] < volume.n_slices / 2 + 1


@pytest.mark.slow
def test_predict_writes_boxes_of_the_same_run(
    pair, folder, volume, predictor, prediction, tmp_path
):
    predict_folder(folder, tmp_path, pair, localizer=pair.fracture, device="cpu")
    (written,) = read_slices(tmp_path / SLICES_FILE)
    np.testing.assert_allclose(
        written.fracture_probs, prediction.predictions.fracture_probs, atol=1e-4
    )
    boxes = read_boxes(tmp_path).get(volume.study_uid, ())
    assert len(boxes) == len(predictor.boxes_of(prediction, volume))


def test_a_localiser_without_box_weights_is_refused(pair, tmp_path):
    config = pair.fracture.config.model_copy(update={"box_weights": None})
    plain = replace(pair.fracture, config=config)
    with pytest.raises(BundleError, match="cannot predict fractures"):
        BoxEvidencePredictor(pair.vertebra, plain, device="cpu")
    assert not config.gives_fractures


def test_without_a_fracture_bundle_only_presence_is_predicted(pair, volume):
    alone = Predictor(pair.vertebra, None, device="cpu")
    with pytest.raises(ValueError, match="only presence"):
        alone.predict(volume)


def test_the_shipped_localiser_is_the_default():
    pair = choose_pair(SHIPPED)
    assert (pair.vertebra.folder.name, pair.fracture.folder.name) == ("vertebra_type1", NAME)
    # Thresholds and shipped predictions were made with the vertebra network's presence.
    assert pair.presence == pair.vertebra
    named = choose_pair(SHIPPED, [SHIPPED / "segmentation_unet3d"])
    assert named.presence.folder.name == "segmentation_unet3d"
    assert named.fracture == pair.fracture


def test_a_named_fracture_network_comes_before_a_localiser():
    named = choose_pair(SHIPPED, [SHIPPED / NAME, SHIPPED / "fracture_type1"])
    assert named.fracture.folder.name == "fracture_type1"
    assert choose_pair(SHIPPED, [SHIPPED / NAME]).fracture.folder.name == NAME


def test_without_a_localiser_a_fracture_network_is_the_default(tmp_path):
    for name in ("vertebra_type1", "fracture_type2"):
        (tmp_path / name).mkdir()
        for file in ("config.json", "model.safetensors"):
            shutil.copy(SHIPPED / name / file, tmp_path / name / file)
    assert choose_pair(tmp_path).fracture.folder.name == "fracture_type2"


@pytest.mark.slow
def test_the_labels_of_a_segmenter_own_the_boxes(
    pair, volume, prediction, untrained_segmenter, tmp_path
):
    segmenter = choose_segmenter(untrained_segmenter)
    labelled = pair._replace(segmenter=segmenter)
    found = load_predictor(labelled, device="cpu").predict_with_boxes(volume, raw=prediction.raw)
    presence = SegmentationPredictor(segmenter, device="cpu").segment(volume).presence()
    scores, plain = found.predictions, prediction.predictions
    assert scores.models == ("segmentation-untrained", "vertebra_type1", NAME)
    assert np.array_equal(scores.vertebra_probs, presence)
    expected = box_outputs(
        replace(prediction.raw, study_id=plain.study_id), replace(plain, vertebra_probs=presence),
        pair.fracture.config.box_weights,
    )  # fmt: skip
    np.testing.assert_array_equal(scores.fracture_probs, expected.fracture_probs)
    assert scores.distribution_score == pytest.approx(plain.distribution_score)
    write_predictions(tmp_path, [scores], seconds=[1.0], single=True, pair=labelled)
    written = json.loads((tmp_path / "predictions.json").read_text())
    assert written["presence_from"] == "segmentation-untrained"
