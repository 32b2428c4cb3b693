"""Two recipes of one generator: the classic one as ever, and one that varies what it can."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from core.cli import app
from core.errors import ConfigError, DataRootError
from core.phantom.cohort import STRATA, cohort_uids, discard_outdated, write_cohort
from core.phantom.on_demand import CohortSeed, find_cohort_seed
from core.phantom.recipe import CLASSIC, DEFAULT_RECIPE, RECIPES, VARIED, Odds, Range, recipe_named
from core.phantom.study import make_study

CLASSIC_SHAPE = (87, 64, 64)
CLASSIC_AT = [
    (21, 20, 20), (21, 32, 32), (43, 36, 32), (43, 30, 36), (43, 44, 30), (65, 32, 32),
    (65, 40, 28), (85, 32, 33),
]  # fmt: skip
CLASSIC_HU = [34, 432, 421, -870, 87, 74, 635, 53]
CLASSIC_UID = "2.25.160757343358666904981634556448494373653"
"""Of study 0 of seed 5 at 64 rows, as made before there were recipes."""


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    root = tmp_path_factory.mktemp("varied") / "data"
    uids = write_cohort(root, studies=4, seed=12, matrix=64, jobs=1, recipe="varied")
    return root, uids


@pytest.mark.slow
def test_the_classic_recipe_is_the_default_and_draws_what_it_always_drew():
    study = make_study(5, 0, matrix=64)
    assert CLASSIC.name == DEFAULT_RECIPE
    assert study.hu.tobytes() == make_study(5, 0, matrix=64, recipe="classic").hu.tobytes()
    assert study.labels == (0, 1, 0, 0, 0, 0, 0)
    assert study.hu.shape == CLASSIC_SHAPE
    values = study.hu[tuple(np.array(CLASSIC_AT).T)]
    # Float sums differ in the last bit from processor to processor.
    assert np.abs(values - np.array(CLASSIC_HU)).max() <= 1
    assert study.visibility == ()


@pytest.mark.slow
def test_a_varied_study_repeats_by_seed_and_is_another_than_the_classic_one():
    first, again = (make_study(5, 1, matrix=64, recipe="varied") for _ in range(2))
    assert first.hu.tobytes() == again.hu.tobytes()
    assert first.grid == again.grid
    classic = make_study(5, 1, matrix=64)
    assert first.hu.shape != classic.hu.shape or (first.hu != classic.hu).any()


def test_an_unknown_recipe_is_refused_with_the_names_of_the_others(tmp_path):
    with pytest.raises(ConfigError, match="choose one of classic, varied"):
        recipe_named("novel")
    result = CliRunner().invoke(app, ["phantom", str(tmp_path / "x"), "--recipe", "novel"])
    assert result.exit_code != 0
    assert not (tmp_path / "x").exists()


def test_classic_studies_keep_their_ids_and_varied_ones_have_their_own():
    classic, varied = (cohort_uids(studies=2, seed=5, matrix=64, recipe=r) for r in RECIPES)
    assert classic == cohort_uids(studies=2, seed=5, matrix=64)
    assert classic[0] == CLASSIC_UID
    assert not set(classic) & set(varied)
    seed = CohortSeed(5, 2, 64, recipe="varied")
    assert find_cohort_seed(varied[1], [seed]) == (seed, 1)
    assert find_cohort_seed(classic[1], [seed]) is None


@pytest.mark.slow
def test_a_folder_of_one_recipe_is_not_filled_with_the_other(cohort):
    root, _ = cohort
    assert json.loads((root / "phantom.json").read_text())["recipe"] == "varied"
    with pytest.raises(DataRootError, match="recipe"):
        write_cohort(root, studies=4, seed=12, matrix=64, jobs=1)


@pytest.mark.slow
def test_a_cohort_of_before_there_were_recipes_is_a_classic_one(tmp_path):
    made = {"studies": 1, "seed": 3, "matrix": 64, "jobs": 1}
    uids = write_cohort(tmp_path, **made)
    manifest = json.loads((tmp_path / "phantom.json").read_text())
    del manifest["recipe"]
    (tmp_path / "phantom.json").write_text(json.dumps(manifest))
    assert write_cohort(tmp_path, **made) == uids
    with pytest.raises(DataRootError, match="recipe"):
        write_cohort(tmp_path, **made, recipe="varied")


def test_a_cohort_of_another_recipe_is_outdated_and_one_of_the_same_is_not(tmp_path):
    write_cohort(tmp_path, studies=1, seed=3, matrix=64, jobs=1)
    assert not discard_outdated(tmp_path, "classic")
    assert discard_outdated(tmp_path, "varied")
    assert not any(tmp_path.iterdir())


def test_each_fracture_has_a_row_with_its_stratum_next_to_the_tables(cohort):
    root, uids = cohort
    strata = pd.read_csv(root / STRATA)
    labels = pd.read_csv(root / "train.csv").set_index("StudyInstanceUID")
    boxes = pd.read_csv(root / "train_bounding_boxes.csv")
    assert set(strata.stratum) <= {s.name for s in VARIED.fractures.strata}
    for uid in uids:
        named = set(strata.loc[strata.StudyInstanceUID == uid, "vertebra"])
        assert named == {c for c in labels.columns[1:] if labels.loc[uid, c]}
        shown = strata.loc[strata.StudyInstanceUID == uid, "slices"].sum()
        assert shown == (boxes.StudyInstanceUID == uid).sum()
    assert (strata.slices >= 1).all()


def test_a_classic_cohort_has_no_strata(tmp_path):
    write_cohort(tmp_path, studies=1, seed=3, matrix=64, jobs=1)
    assert not (tmp_path / STRATA).exists()


def test_shares_of_every_choice_sum_to_one():
    parts = (VARIED.surroundings, VARIED.protocol, VARIED.scanner, VARIED.fractures, VARIED.bone)
    odds = [v for p in parts for v in (getattr(p, n) for n in p.__slots__) if isinstance(v, Odds)]
    assert odds
    for one in odds:
        assert sum(share for _, share in one.shares) == pytest.approx(1)
    assert sum(s.share for s in VARIED.fractures.strata) == pytest.approx(1)
    assert sum(share for _, share in VARIED.protocol.sizes) == pytest.approx(1)


def test_a_logarithmic_range_has_as_many_draws_in_each_octave():
    rng = np.random.default_rng(0)
    drawn = np.array([Range(1, 16, log=True).draw(rng) for _ in range(2000)])
    counts = np.histogram(drawn, [1, 2, 4, 8, 16])[0]
    assert counts.sum() == 2000
    assert np.abs(counts - 500).max() < 80


def test_a_recipe_can_take_one_part_of_another():
    assert replace(CLASSIC, scanner=VARIED.scanner).fractures is None
