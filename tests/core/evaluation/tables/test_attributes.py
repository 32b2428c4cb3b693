"""Facts that divide a cohort into groups: bins, names, vertebrae, and their sources."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from core.constants import VERTEBRAE
from core.errors import DataRootError, PredictionsError
from core.evaluation.tables.attribute_sources import (
    PlantedFracture,
    PlantedTruth,
    draw_planted,
    index_attributes,
    kernel_attribute,
    label_attributes,
    planted_attributes,
    read_planted,
    without_doubles,
)
from core.evaluation.tables.attributes import (
    MOST_GROUPS,
    Condition,
    from_flag,
    from_names,
    from_numbers,
    items_of,
    named,
)
from core.phantom.cohort import cohort_uids
from core.phantom.on_demand import CohortSeed
from core.phantom.study import make_study
from core.phantom.writer import write_study
from tests.core.evaluation import made_cohort


def groups_of(attribute) -> list[str]:
    """Name of each study's group; "" where it is in none, "+" between several."""
    return ["+".join(np.array(attribute.groups)[row]) for row in attribute.members]


def test_numbers_have_fixed_limits_each_the_largest_of_its_group():
    values = np.array([0.5, 0.75, 0.76, 1.25, 3.0, np.nan])
    found = from_numbers("s", "S", "headers", values, limits=(0.75, 1.25, 2.0), unit="mm")
    assert groups_of(found) == [
        "up to 0.75 mm", "up to 0.75 mm", "0.75 to 1.25 mm", "0.75 to 1.25 mm", "above 2 mm", "",
    ]  # fmt: skip
    assert found.note == "groups by fixed limits"


def test_many_numbers_are_divided_at_their_quartiles_and_few_stay():
    many = from_numbers("a", "A", "added", np.arange(100.0))
    assert many.members.sum(axis=0).tolist() == [25, 25, 25, 25]
    assert many.note == "groups by quartiles"
    few = from_numbers("a", "A", "added", np.array([1.0, 2, 2, np.nan, 1.5]))
    assert groups_of(few) == ["1", "2", "2", "", "1.5"]
    nothing = from_numbers("a", "A", "added", np.full(3, np.nan))
    assert (nothing.groups, nothing.members.shape) == ((), (3, 0))


def test_rare_names_are_one_group_where_there_are_many():
    names = [f"site {k:02}" for k in range(40) for _ in range(40 - k)]
    found = from_names("site", "Site", "added", [*names, ""])
    assert len(found.groups) == MOST_GROUPS
    assert found.groups[-1] == "all others"
    assert found.groups[0] == "site 00"
    assert found.members.sum() == len(names)
    assert not found.members[-1].any()


def test_items_meet_all_conditions():
    cohort = made_cohort.cohort(12)
    vertebra, _ = label_attributes(cohort.truth.fractured)
    odd = from_flag("odd", "Odd", "added", np.arange(12) % 2 == 1)
    items = cohort.items("a", "vertebra")
    conditions = (Condition("vertebra", "C5"), Condition("odd", "yes"))
    meets = items_of([vertebra, odd], conditions, items, by_vertebra=True)
    np.testing.assert_array_equal(meets, (items.vertebrae == 4) & (items.patients % 2 == 1))
    patients = cohort.items("a", "patient")
    meets = items_of([vertebra, odd], conditions, patients, by_vertebra=False)
    np.testing.assert_array_equal(meets, cohort.truth.fractured[:, 4] & (np.arange(12) % 2 == 1))
    with pytest.raises(PredictionsError, match="no such group"):
        items_of([odd], [Condition("odd", "no")], items, by_vertebra=True)
    with pytest.raises(PredictionsError, match="no such column"):
        named([odd], "site")


def test_labels_give_level_and_number_of_fractures():
    fractured = np.zeros((3, 7), bool)
    fractured[1, 4] = fractured[2, [0, 4]] = True
    level, number = label_attributes(fractured)
    assert level.groups == VERTEBRAE
    assert groups_of(level) == ["", "C5", "C1+C5"]
    assert level.of_vertebrae.sum() == 21
    assert groups_of(number) == ["", "one", "several"]


def test_an_index_gives_headers_and_flags_in_the_order_of_the_studies(tmp_path):
    table = pd.DataFrame(
        {
            "study_id": ["b", "a", "extra"], "z_spacing_mm": [0.5, 1.0, 9.0],
            "n_slices": [300, 0, 1], "rows": [512, 768, 9], "cols": [512, 768, 9],
            "kernel": ["B60F", "", "X"], "flag_gap": [True, False, True],
        }
    )  # fmt: skip
    table.to_parquet(tmp_path / "studies.parquet")
    found = {
        one.key: groups_of(one)
        for one in index_attributes(tmp_path / "studies.parquet", np.array(["a", "b", "new"]))
    }
    assert found == {
        "spacing": ["0.75 to 1.25 mm", "up to 0.75 mm", ""],
        "slices": ["", "300", ""],
        "size": ["768 × 768", "512 × 512", ""],
        "kernel": ["", "B60F", ""],
        "gap": ["", "yes", ""],
    }
    with pytest.raises(DataRootError, match="does not exist"):
        index_attributes(tmp_path / "none.parquet", np.array(["a"]))


def test_synthetic_kernels_are_named_by_their_sharpness():
    names = ["SYNTHETIC70", "SYNTHETIC29", "", "SYNTHETIC30", "SYNTHETIC50", "SYNTHETIC49"]
    numbered = kernel_attribute("phantom", names)
    assert numbered.groups == ("soft", "medium", "sharp")
    assert numbered.members.argmax(axis=1).tolist() == [2, 0, 0, 1, 2, 1]
    assert numbered.members.any(axis=1).tolist() == [True, True, False, True, True, True]
    assert kernel_attribute("phantom", ["SYNTHETIC60"]).groups == ("sharp",)
    assert kernel_attribute("headers", ["B30F", "B60F", "B60F"]).groups == ("B30F", "B60F")
    assert kernel_attribute("headers", ["FC30", "H60", ""]).groups == ("FC30", "H60")


def test_planted_truth_is_read_and_drawn_alike(tmp_path):
    """The plan of a study says what the generator writes next to its images."""
    seed = CohortSeed(seed=5, studies=4, matrix=64)
    ids = cohort_uids(studies=4, seed=5, matrix=64)
    made = [make_study(5, k, matrix=64) for k in range(4)]
    for study, study_id in zip(made, ids, strict=True):
        write_study(study, tmp_path, study_id)
    fractured = np.array([study.labels for study in made], bool)
    assert fractured.any()
    read = planted_attributes(read_planted(tmp_path, [*ids, "other"]))
    drawn = planted_attributes(
        draw_planted(seed, [*ids, "other"], np.vstack([fractured, [False] * 7]))
    )
    for one, other in zip(read, drawn, strict=True):
        assert one.key == other.key
        if one.key not in ("spacing", "noise"):
            assert groups_of(one) == groups_of(other), one.key
    by_key = {one.key: one for one in drawn}
    assert by_key["spacing"].members[:4].any(axis=1).all()
    assert not by_key["spacing"].members[4].any()
    np.testing.assert_array_equal(by_key["kind"].of_vertebrae.any(axis=2)[:4], fractured)


def test_damaged_planted_truth_is_none(tmp_path):
    folder = tmp_path / "phantom_truth"
    folder.mkdir()
    (folder / "a.json").write_text("{")
    (folder / "b.json").write_text(json.dumps({"fractures": [{"kind": "burst"}]}))
    (folder / "c.json").write_text(json.dumps([1]))
    assert read_planted(tmp_path, ["a", "b", "c", "d"]) == [None] * 4


def test_strata_and_displacement_are_of_the_fractured_vertebra():
    fracture = PlantedFracture(
        vertebra="C2", kind="odontoid_2", displacement_mm=1.4, stratum="displaced"
    )
    truths = [PlantedTruth((fracture,), "K", 20.0, False), None]
    found = {one.key: groups_of(one) for one in planted_attributes(truths)}
    assert found["kind"] == ["odontoid 2", ""]
    assert found["displacement"] == found["stratum"] == ["displaced", ""]


def test_the_first_of_a_key_is_kept_and_what_divides_nothing_is_not():
    same = from_names("a", "Same", "headers", ["x"] * 4)
    first = from_names("b", "First", "headers", ["x", "x", "y", ""])
    second = from_names("b", "Second", "phantom", ["u", "v", "u", "v"])
    never = from_flag("c", "Never", "headers", np.zeros(4, bool))
    some = from_flag("d", "Some", "headers", np.arange(4) > 2)
    assert without_doubles([same, first, second, never, some]) == [first, some]
