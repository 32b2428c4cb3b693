"""An ensemble's bundle: read like others, and refused when a member is missing or changed."""

import json
import shutil

import pytest

from core.errors import BundleError
from core.models.bundles import EnsembleConfig, list_bundles, read_bundle
from core.models.checkpoint import load_model
from core.models.ensembles import networks_of, new_member, read_members
from core.models.pairs import BundlePair, choose_pair, vertebra_for
from core.report.wording import bundle_line
from tests.core.ensembles import write_ensemble


@pytest.fixture
def checkpoints(untrained_bundles, tmp_path):
    return shutil.copytree(untrained_bundles, tmp_path / "checkpoints")


@pytest.fixture
def ensemble(checkpoints, tmp_path):
    other = shutil.copytree(checkpoints / "fracture-untrained", checkpoints / "second")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"name": "second"}))
    folder = tmp_path / "var" / "both"
    write_ensemble(folder, [checkpoints / "fracture-untrained", other], (0.25, 0.75))
    return read_bundle(folder)


def test_an_ensemble_reads_like_a_fracture_bundle(ensemble, checkpoints):
    config = ensemble.config
    assert isinstance(config, EnsembleConfig)
    assert config.gives_fractures
    lacks = ("gives_presence", "gives_boxes", "takes_presence", "explains_slices", "uses_boxes")
    assert [name for name in lacks if getattr(config, name)] == []
    assert config.title == "Ensemble for fracture detection"
    assert config.built_as == "log-odds mean of 2 networks"
    wanted = "log-odds mean of fracture-untrained (0.25), second (0.75)"
    assert config.ensemble.described == wanted
    assert wanted in bundle_line(ensemble)
    assert [one.config.name for one in list_bundles(ensemble.folder.parent)] == ["both"]
    pair = choose_pair(checkpoints, [ensemble.folder])
    assert (pair.vertebra.config.name, pair.fracture) == ("vertebra-untrained", ensemble)
    assert vertebra_for(ensemble, checkpoints) == pair.vertebra


def test_members_are_found_from_the_ensembles_own_folder(ensemble, checkpoints, monkeypatch):
    monkeypatch.chdir(checkpoints)
    found = [one.folder.resolve() for one in read_members(ensemble)]
    assert found == [(checkpoints / name).resolve() for name in ("fracture-untrained", "second")]
    assert [one.folder for one in networks_of(ensemble)] == [
        m.folder for m in read_members(ensemble)
    ]
    alone = read_bundle(checkpoints / "second")
    assert networks_of(alone) == [alone]


def test_digests_of_pairs_change_with_a_weight_of_the_recipe(ensemble, checkpoints, tmp_path):
    vertebra = read_bundle(checkpoints / "vertebra-untrained")
    members = [checkpoints / "fracture-untrained", checkpoints / "second"]
    write_ensemble(tmp_path / "other" / "both", members, (0.3, 0.7))
    other = read_bundle(tmp_path / "other" / "both")
    assert BundlePair(vertebra, ensemble).digest != BundlePair(vertebra, other).digest


def test_a_missing_member_is_refused_in_one_sentence(ensemble, checkpoints):
    shutil.rmtree(checkpoints / "second")
    with pytest.raises(
        BundleError, match=r"needs second, but .* holds no readable bundle; restore"
    ):
        read_members(ensemble)


def test_a_changed_member_is_refused_in_one_sentence(ensemble, checkpoints):
    file = checkpoints / "second" / "config.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"weights_sha256": "1" * 64}))
    with pytest.raises(BundleError, match="has changed since the ensemble both was made"):
        read_members(ensemble)
    # Another order of the same content is no change.
    file.write_text(json.dumps(dict(reversed(content.items())), indent=7))
    assert len(read_members(ensemble)) == 2


def test_an_ensemble_is_not_loaded_as_a_network(ensemble):
    with pytest.raises(BundleError, match="without weights of its own; name one of its members"):
        load_model(ensemble)


def test_only_bundles_that_predict_fractures_become_members(ensemble, checkpoints, tmp_path):
    for folder in (ensemble.folder, checkpoints / "vertebra-untrained"):
        with pytest.raises(BundleError, match="cannot be a member"):
            new_member(read_bundle(folder), tmp_path / "new", 1.0)
    with pytest.raises(BundleError, match="is not an ensemble"):
        read_members(read_bundle(checkpoints / "second"))


@pytest.mark.parametrize(
    "damage",
    [
        {"method": "median"},
        {"members": []},
        {"method": "rank"},
        {"intercept": "x"},
    ],
)
def test_a_damaged_recipe_is_refused_with_its_file(ensemble, damage):
    file = ensemble.folder / "config.json"
    content = json.loads(file.read_text())
    content["ensemble"] |= damage
    file.write_text(json.dumps(content))
    with pytest.raises(BundleError, match=r"config\.json"):
        read_bundle(ensemble.folder)
