import json

import numpy as np
import pytest
import yaml

from core.config import Settings
from core.dataset.rsna import read_studies
from core.errors import ConfigError
from core.evaluation.report import evaluate_predictions
from core.evaluation.tables.truth import StudyTruth, truth_from_data_root
from core.experiments.ablations import load_experiments, run_experiments
from core.experiments.cohorts import HELD_OUT
from core.experiments.shipped_scores import write_truth
from core.experiments.subsampled_predictions import SLICES_PER_STUDY, subsampled_slices
from core.inference.outputs import read_slices
from core.models.backbone_table import BACKBONES
from tests.core.training.made_data_root import write_data_root


def test_the_backbone_experiment_tries_every_backbone():
    experiment = load_experiments()["backbones"]
    assert list(experiment.arms) == list(BACKBONES)
    assert all(arm == {"backbone": name} for name, arm in experiment.arms.items())


def test_arms_differ_only_in_their_own_fields(tmp_path):
    for experiment in load_experiments().values():
        base = experiment.config(experiment.baseline, 7, tmp_path, tmp_path).model_dump()
        for name, changes in experiment.arms.items():
            own = experiment.config(name, 7, tmp_path, tmp_path).model_dump()
            differing = {key for key, value in own.items() if value != base[key]}
            assert differing <= set(changes) | set(experiment.arms[experiment.baseline])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"baseline": "nobody"}, "'nobody' is no arm"),
        ({"arms": {}}, "arms"),
        ({"colour": "red"}, "colour"),
        ({"cohort": "held_out"}, "cohort"),
    ],
)
def test_a_broken_file_is_named(tmp_path, change, message):
    content = load_experiments()["backbones"].model_dump(mode="json") | change
    (tmp_path / "broken.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=message):
        load_experiments(tmp_path)


def test_a_bad_arm_is_named(tmp_path):
    experiment = load_experiments()["backbones"]
    bad = experiment.model_copy(update={"arms": {"odd": {"size": -1}}})
    with pytest.raises(ConfigError, match=r"Arm 'odd'.*size"):
        bad.config("odd", 7, tmp_path, tmp_path)


def test_an_unknown_experiment_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no experiment 'colours'"):
        run_experiments(Settings(), tmp_path, only=["colours"])


@pytest.mark.parametrize("n_slices", [1, 5, SLICES_PER_STUDY, SLICES_PER_STUDY + 1, 85, 314])
def test_subsampled_slices_are_spread_over_the_study(n_slices):
    places = subsampled_slices(n_slices)
    assert len(places) == min(n_slices, SLICES_PER_STUDY)
    assert (places[0], len(np.unique(places))) == (0, len(places))
    if n_slices > SLICES_PER_STUDY:
        steps = np.diff(places)
        assert steps.max() - steps.min() <= 1


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """A tiny experiment of two arms and two seeds, run to its result."""
    base = tmp_path_factory.mktemp("experiments")
    folder, checkpoints, work = base / "configs", base / "checkpoints", base / "work"
    folder.mkdir()
    content = load_experiments()["backbones"].model_dump(mode="json")
    content["seeds"] = [1, 2]
    content["arms"] = {"mobilenet_v3_large": {}, "tiny batches": {"batch_size": 4}}
    content["run"] |= {
        "size": 32, "field_mm": None, "batch_size": 8, "slices_per_study": 6,
        "precision": "32-true", "fracture_target": "vertebra",
    }  # fmt: skip
    (folder / "tiny.yaml").write_text(yaml.safe_dump(content))
    write_data_root(work / "train", studies=8, slices=14)
    root = write_data_root(work / "held_out", studies=8, slices=30, seed=1)
    truth = truth_from_data_root(root)
    write_truth(checkpoints, HELD_OUT, read_studies(root), truth)
    settings = Settings(checkpoints=checkpoints, rsna_cache=base / "cache")
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.experiments.ablations.write_cohort", lambda *_, **__: [])
        (file,) = run_experiments(settings, work, folder=folder, say=said.append)
        first = list(said)
        said.clear()
        run_experiments(settings, work, folder=folder, say=said.append)
    return work, file, truth, first, list(said)


@pytest.mark.training
def test_figures_are_those_of_the_predictions(tried):
    work, file, truth, *_ = tried
    result = json.loads(file.read_text())
    assert (result["synthetic"], result["question"][-1]) == (True, "?")
    thin = [
        StudyTruth(t.study_id, t.fractured, t.presence[subsampled_slices(len(t.presence))])
        for t in truth
    ]
    for arm, found in result["results"].items():
        aucs = {"presence": [], "slice": [], "vertebra": [], "patient": []}
        for seed in (1, 2):
            run = work / "runs" / "experiments" / "tiny" / f"{arm}, seed {seed}"
            report = evaluate_predictions(read_slices(run / "held_out.parquet"), thin)
            for level, values in aucs.items():
                values.append(getattr(report, level).metrics.auc)
        for level, values in aucs.items():
            assert found["figures"][level]["runs"] == pytest.approx(values)
            assert found["figures"][level]["auc"] == pytest.approx(np.mean(values))
    steps = [found["steps"] for found in result["results"].values()]
    assert steps[1][0] == 2 * steps[0][0]


@pytest.mark.training
def test_a_second_call_trains_nothing(tried):
    *_, first, second = tried
    assert sum(line.startswith("Training") for line in first) == 4
    assert second == ["Measuring tiny"]
