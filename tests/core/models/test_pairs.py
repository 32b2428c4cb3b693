"""A vertebra and a fracture bundle are chosen together, or the error names what is missing."""

import hashlib
import json
import shutil

import pytest

from core.errors import BundleError
from core.models.pairs import DEFAULT_NAMES, choose_pair, choose_segmenter, read_pair


def test_without_names_each_task_has_its_bundle(untrained_bundles):
    pair = choose_pair(untrained_bundles)
    assert (pair.vertebra.config.task, pair.fracture.config.task) == ("vertebra", "fracture")


def test_a_named_bundle_wins_over_the_default(untrained_bundles, tmp_path):
    shutil.copytree(untrained_bundles / "fracture-untrained", tmp_path / "mine")
    assert choose_pair(untrained_bundles, [tmp_path / "mine"]).fracture.folder == tmp_path / "mine"


def test_the_digest_of_two_networks_is_that_of_earlier_versions(untrained_bundles):
    """Predictions stored before there were segmenters keep their names."""
    pair = choose_pair(untrained_bundles)
    text = "\n".join(one.config.model_dump_json() for one in (pair.vertebra, pair.fracture))
    assert pair.digest == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_two_bundles_of_one_task_are_refused(untrained_bundles):
    folder = untrained_bundles / "fracture-untrained"
    with pytest.raises(BundleError, match="both fracture"):
        choose_pair(untrained_bundles, [folder, folder])


def test_no_bundle_at_all_says_how_to_get_one(tmp_path):
    with pytest.raises(BundleError, match="make demo-models"):
        choose_pair(tmp_path)


def _bundle(folder, name, task, kind, **changes):
    """A bundle's folder with a config and arbitrary bytes as weights."""
    (folder / name).mkdir(parents=True)
    (folder / name / "model.safetensors").write_bytes(b"")
    config = {
        "name": name, "task": task, "type": kind, "backbone": "googlenet", "size": 64, "crop": 1.0,
        "window_center": 400.0, "window_width": 1800.0, "weights_sha256": "a" * 64,
        "parameters": 1, "trained_on": {}, "created": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    (folder / name / "config.json").write_text(json.dumps(config | changes))
    return folder / name


@pytest.fixture
def checkpoints(tmp_path):
    folder = tmp_path / "checkpoints"
    _bundle(folder, "vertebra_type1", "vertebra", 1)
    _bundle(folder, "vertebra_type2", "vertebra", 2)
    return folder


def test_a_type_3_bundle_alone_gives_presence_itself(tmp_path):
    alone = _bundle(tmp_path, "multi_task", "fracture", 3)
    pair = choose_pair(tmp_path / "nowhere", [alone])
    assert pair.vertebra.folder == pair.fracture.folder == alone


def test_a_vertebra_bundle_named_beside_type_3_gives_presence(tmp_path, checkpoints):
    alone = _bundle(tmp_path, "multi_task", "fracture", 3)
    pair = choose_pair(checkpoints, [alone, checkpoints / "vertebra_type2"])
    assert pair.vertebra.config.name == "vertebra_type2"
    assert pair.digest != choose_pair(checkpoints, [alone]).digest


def test_type_2_is_paired_with_the_vertebra_bundle_it_was_trained_with(tmp_path, checkpoints):
    fracture = _bundle(tmp_path, "f", "fracture", 2, vertebra_bundle="vertebra_type2")
    assert choose_pair(checkpoints, [fracture]).vertebra.config.name == "vertebra_type2"


def test_a_vertebra_bundle_beside_type_2_comes_before_one_of_the_same_name(tmp_path, checkpoints):
    fracture = _bundle(tmp_path / "run", "f", "fracture", 2, vertebra_bundle="vertebra_type2")
    beside = _bundle(tmp_path / "run", "vertebra_type2", "vertebra", 2)
    assert choose_pair(checkpoints, [fracture]).vertebra.folder == beside


@pytest.mark.parametrize("wanted", [None, "long gone"])
def test_type_2_without_its_partner_takes_the_default_one(tmp_path, checkpoints, wanted):
    fracture = _bundle(tmp_path, "f", "fracture", 2, vertebra_bundle=wanted)
    assert choose_pair(checkpoints, [fracture]).vertebra.config.name == DEFAULT_NAMES["vertebra"]


def test_type_2_without_any_vertebra_bundle_says_how_to_get_one(tmp_path):
    fracture = _bundle(tmp_path, "f", "fracture", 2)
    with pytest.raises(BundleError, match="no vertebra bundle"):
        choose_pair(tmp_path, [fracture])


def test_a_named_segmenter_gives_presence_to_any_fracture_network(tmp_path, checkpoints):
    segmenter = _bundle(
        tmp_path, "segmenter", "segmentation", 1, backbone="unet3d", size=56, field_mm=112.0
    )
    weights = {"owner_power": 1, "score_power": 1, "local": 1, "vertebra": 1, "intercept": 0}
    localizer = _bundle(
        tmp_path, "localizer", "localization", 1, backbone="resnet50", box_weights=weights
    )
    fracture = _bundle(tmp_path, "f", "fracture", 1)
    for one in (localizer, fracture):
        pair = choose_pair(checkpoints, [segmenter, one])
        assert pair.presence.folder == segmenter
        assert pair.vertebra.config.name == DEFAULT_NAMES["vertebra"]
        assert [bundle.folder for bundle in pair.bundles] == [
            segmenter, checkpoints / DEFAULT_NAMES["vertebra"], one,
        ]  # fmt: skip
        assert read_pair(pair.vertebra.folder, one, segmenter) == pair
        plain = choose_pair(checkpoints, [one])
        assert plain.presence == plain.vertebra
        assert plain.digest != pair.digest
    named = choose_pair(checkpoints, [segmenter, localizer, checkpoints / "vertebra_type2"])
    assert (named.vertebra.config.name, named.presence.folder) == ("vertebra_type2", segmenter)
    assert choose_segmenter(tmp_path).folder == segmenter
    assert choose_segmenter(checkpoints, [segmenter]).folder == segmenter
