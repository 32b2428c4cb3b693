"""A vertebra and a fracture bundle are chosen together, or the user is told what is missing."""

import shutil

import pytest

from core.config import PROJECT_ROOT
from core.errors import BundleError
from core.models.pairs import DEFAULT_NAMES, choose_pair


def test_without_names_each_task_has_its_bundle(untrained_bundles):
    pair = choose_pair(untrained_bundles)
    assert (pair.vertebra.config.task, pair.fracture.config.task) == ("vertebra", "fracture")


def test_a_named_bundle_wins_over_the_default(untrained_bundles, tmp_path):
    shutil.copytree(untrained_bundles / "fracture-untrained", tmp_path / "mine")
    assert choose_pair(untrained_bundles, [tmp_path / "mine"]).fracture.folder == tmp_path / "mine"


def test_two_bundles_of_one_task_are_refused(untrained_bundles):
    folder = untrained_bundles / "fracture-untrained"
    with pytest.raises(BundleError, match="both fracture"):
        choose_pair(untrained_bundles, [folder, folder])


def test_no_bundle_at_all_says_how_to_get_one(tmp_path):
    with pytest.raises(BundleError, match="make demo-models"):
        choose_pair(tmp_path)


def test_the_default_pair_is_shipped():
    pair = choose_pair(PROJECT_ROOT / "checkpoints")
    assert {task: getattr(pair, task).config.name for task in DEFAULT_NAMES} == DEFAULT_NAMES
