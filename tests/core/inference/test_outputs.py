from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.constants import VERTEBRAE
from core.errors import PredictionsError, StorageError
from core.inference import outputs
from core.inference.aggregation import aggregate
from core.inference.outputs import SLICES_FILE, find_slices, read_slices, write_predictions
from core.system import atomic_files
from core.types import SlicePredictions
from tests.core.inference.test_study_scores import two_vertebrae
from tests.core.inference.test_verdict import pair as verdict_pair


def made(study_id: str = "1.2.3", n_slices: int = 4, fracture_type: int = 1, seed: int = 0):
    rng = np.random.default_rng(seed)
    fracture = rng.random((n_slices, 7), dtype=np.float32)
    if fracture_type == 1:
        fracture = np.repeat(fracture[:, :1], 7, axis=1)
    return SlicePredictions(
        study_id=study_id,
        z_mm=100.0 - 1.25 * np.arange(n_slices),
        vertebra_probs=rng.random((n_slices, 7), dtype=np.float32),
        fracture_probs=fracture,
        fracture_type=fracture_type,
        instance_numbers=tuple(range(n_slices, 0, -1)),
        models=("vertebra-a", "fracture-b"),
    )


def assert_same(one: SlicePredictions, other: SlicePredictions) -> None:
    assert (one.study_id, one.fracture_type) == (other.study_id, other.fracture_type)
    assert (one.instance_numbers, one.models) == (other.instance_numbers, other.models)
    for name in ("z_mm", "vertebra_probs", "fracture_probs"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
        assert getattr(one, name).dtype == getattr(other, name).dtype, name


def write_altered(folder, alter, predictions=None) -> None:
    """Write good predictions, then change the table."""
    write_predictions(folder, predictions or [made()], seconds=[1.0], single=True)
    table = pd.read_parquet(folder / "slices.parquet")
    changed = alter(table)
    (table if changed is None else changed).to_parquet(folder / "slices.parquet", index=False)


def test_one_study_leaves_three_files(tmp_path):
    study = made()
    write_predictions(tmp_path / "new" / "out", [study], seconds=[1.5], single=True)
    folder = tmp_path / "new" / "out"

    assert sorted(file.name for file in folder.iterdir()) == [
        "boxes.csv", "predictions.json", "slices.parquet",
    ]  # fmt: skip
    header = "StudyInstanceUID,x,y,width,height,slice_number,score\n"
    assert (folder / "boxes.csv").read_text() == header
    patient = aggregate(study)
    assert json.loads((folder / "predictions.json").read_text()) == {
        "study_id": "1.2.3",
        "patient": patient.patient_prob,
        "vertebrae": dict(zip(VERTEBRAE, patient.vertebra_probs.tolist(), strict=True)),
        "not_seen": [],
        "n_slices": 4,
        "bundles": ["vertebra-a", "fracture-b"],
        "presence_from": "vertebra-a",
        "seconds": 1.5,
    }


def test_with_the_networks_every_study_gets_its_call(tmp_path):
    inside = replace(two_vertebrae(), study_id="1.1", distribution_score=0.5)
    outside = replace(inside, study_id="1.2", distribution_score=1.5)
    write_predictions(
        tmp_path, [inside, outside], seconds=[1, 1], single=False, pair=verdict_pair()
    )
    first, second = json.loads((tmp_path / "predictions.json").read_text())
    assert (first["call"], second["call"]) == ("fractured", "out of distribution")
    assert (first["in_distribution"], second["in_distribution"]) == (True, False)
    assert (first["distribution_score"], second["distribution_score"]) == (0.5, 1.5)
    assert second["patient"] == first["patient"] > 0
    # The score comes back from the table, from which pages read it.
    stored = read_slices(tmp_path / "slices.parquet")
    assert [study.distribution_score for study in stored] == [0.5, 1.5]


def test_a_table_of_before_has_no_distribution_score(tmp_path):
    write_predictions(tmp_path, [made()], seconds=[1], single=True)
    file = tmp_path / "slices.parquet"
    assert read_slices(file)[0].distribution_score is None
    pd.read_parquet(file).drop(columns="distribution_score").to_parquet(file)
    assert read_slices(file)[0].distribution_score is None


def test_the_table_has_the_documented_columns_and_types(tmp_path):
    studies = [made("1.1"), made("1.2", fracture_type=2)]
    write_predictions(tmp_path, studies, seconds=[1, 2], single=False, folds={"1.2": 3})
    table = pd.read_parquet(tmp_path / "slices.parquet")

    assert table.columns.tolist() == [
        "study_id", "slice_index", "instance_number", "z_mm",
        *(f"v_{name}" for name in VERTEBRAE), *(f"f_{name}" for name in VERTEBRAE),
        "fold", "model", "fracture_type", "distribution_score",
    ]  # fmt: skip
    assert {str(table[name].dtype) for name in table.columns if name[:2] in ("v_", "f_")} == {
        "float32"
    }
    assert table["fold"].isna().tolist() == [True] * 4 + [False] * 4
    assert table["fold"].dropna().tolist() == [3] * 4
    assert set(table["model"]) == {"vertebra-a + fracture-b"}
    assert table["fracture_type"].tolist() == [1] * 4 + [2] * 4


def test_a_folder_of_studies_writes_a_list_even_for_one(tmp_path):
    write_predictions(tmp_path, [made()], seconds=[0.1], single=False)

    content = json.loads((tmp_path / "predictions.json").read_text())
    assert [entry["study_id"] for entry in content] == ["1.2.3"]


def test_a_vertebra_without_presence_is_listed_as_not_seen(tmp_path):
    study = made(fracture_type=2)
    study.vertebra_probs[:, [0, 6]] = 0
    write_predictions(tmp_path, [study], seconds=[0.1], single=True)

    content = json.loads((tmp_path / "predictions.json").read_text())
    assert content["not_seen"] == ["C1", "C7"]
    assert content["vertebrae"]["C1"] == content["vertebrae"]["C7"] == 0.0


@pytest.mark.slow
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(st.integers(1, 12), st.sampled_from([1, 2, 3]), st.integers(0, 99)),
        min_size=1, max_size=4,
    )
)  # fmt: skip
def test_written_predictions_are_read_unchanged(tmp_path, shapes):
    studies = [
        made(f"1.2.{place}", n_slices, fracture_type, seed)
        for place, (n_slices, fracture_type, seed) in enumerate(shapes)
    ]
    write_predictions(tmp_path, studies, seconds=[0.0] * len(studies), single=False)

    back = read_slices(tmp_path / SLICES_FILE)
    assert len(back) == len(studies)
    for one, other in zip(studies, back, strict=True):
        assert_same(one, other)


def test_absent_instance_numbers_and_models_stay_absent(tmp_path):
    full = made()
    bare = SlicePredictions(
        full.study_id, full.z_mm, full.vertebra_probs, full.fracture_probs, full.fracture_type
    )
    write_predictions(tmp_path, [bare], seconds=[0.0], single=True)

    assert_same(read_slices(tmp_path / SLICES_FILE)[0], bare)


def test_rows_in_any_order_come_back_in_slice_order(tmp_path):
    write_altered(tmp_path, lambda table: table.iloc[::-1])

    assert_same(read_slices(tmp_path / SLICES_FILE)[0], made())


def test_optional_columns_may_be_missing(tmp_path):
    write_altered(tmp_path, lambda table: table.drop(columns=["fold", "model", "instance_number"]))
    study = read_slices(tmp_path / SLICES_FILE)[0]

    assert (study.models, study.instance_numbers) == ((), ())


def assign(column, value):
    def alter(table):
        table.loc[table.index[1], column] = value

    return alter


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (lambda table: table.drop(columns="v_C3"), "lacks the column v_C3"),
        (lambda table: table.drop(columns="fracture_type"), "lacks the column fracture_type"),
        (lambda table: table.iloc[:0], "has no row"),
        (assign("f_C2", np.nan), "column f_C2 holds NaN"),
        (assign("study_id", None), "column study_id holds NaN or an empty cell"),
        (assign("v_C1", 1.5), r"presence probabilities are NaN or outside \[0, 1\]"),
        (assign("f_C7", -0.5), r"fracture probabilities are NaN or outside \[0, 1\]"),
        (assign("f_C7", 0.5), "seven columns differ"),
        (assign("slice_index", 7), "column slice_index of study 1.2.3 is not 0..3"),
        (assign("slice_index", 0), "column slice_index of study 1.2.3 is not 0..3"),
        (assign("fracture_type", 2), "column fracture_type of study 1.2.3 changes"),
        (lambda table: table.assign(fracture_type=9), "fracture type 9 is unknown"),
        (lambda table: table.assign(v_C1="high"), "column v_C1 is not numeric"),
    ],
)
def test_a_bad_table_names_file_column_and_remedy(tmp_path, alter, message):
    write_altered(tmp_path, alter)

    with pytest.raises(PredictionsError, match=message) as error:
        read_slices(tmp_path / SLICES_FILE)
    assert "slices.parquet" in str(error.value)
    assert ";" in str(error.value)


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(PredictionsError, match=r"slices\.parquet does not exist"):
        read_slices(tmp_path / SLICES_FILE)
    for content in (b"", b"PAR1 not really", b"study_id,slice_index\n"):
        (tmp_path / "slices.parquet").write_bytes(content)
        with pytest.raises(PredictionsError, match="cannot be read as Parquet"):
            read_slices(tmp_path / SLICES_FILE)


def test_unusable_studies_leave_no_file(tmp_path):
    broken = made()
    broken.vertebra_probs[0, 0] = np.nan
    folder = tmp_path / "out"

    with pytest.raises(PredictionsError, match="are NaN"):
        write_predictions(folder, [made("1.1"), broken], seconds=[0, 0], single=False)
    with pytest.raises(PredictionsError, match="comes twice"):
        write_predictions(folder, [made(), made()], seconds=[0, 0], single=False)
    with pytest.raises(PredictionsError, match="no study to write"):
        write_predictions(folder, [], seconds=[], single=False)
    assert not folder.exists()


def test_arguments_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(ValueError, match="as many times"):
        write_predictions(tmp_path, [made()], seconds=[], single=True)
    with pytest.raises(ValueError, match="single=True"):
        write_predictions(tmp_path, [made("1"), made("2")], seconds=[0, 0], single=True)


def test_a_file_in_the_folders_place_is_a_storage_error(tmp_path):
    (tmp_path / "out").write_text("in the way")

    with pytest.raises(StorageError, match="Cannot write"):
        write_predictions(tmp_path / "out", [made()], seconds=[0], single=True)


class KilledError(BaseException):
    """Ends a write as a kill does: nothing handles it."""


def write_version(folder, version, monkeypatch, killed_at=None):
    """Write version k of a study; end at the n-th change of a name in the file system."""
    steps = iter(range(100))

    def counted(change):
        def step(*arguments, **options):
            if next(steps) == killed_at:
                raise KilledError
            return change(*arguments, **options)

        return step

    with monkeypatch.context() as patch:
        for name in ("replace", "unlink"):
            patch.setattr(type(folder), name, counted(getattr(type(folder), name)))
        # A killed process removes nothing that it has begun.
        patch.setattr(atomic_files.shutil, "rmtree", lambda *_, **__: None)
        write_predictions(folder, [made(seed=version)], seconds=[float(version)], single=True)
        return next(steps)


def version_in(folder):
    """The version that a reader finds; None for none. All three files must belong to it."""
    table = find_slices(folder)
    if table is None:
        return None
    version = round(json.loads((folder / "predictions.json").read_text())["seconds"])
    assert_same(read_slices(table)[0], made(seed=version))
    assert (folder / "boxes.csv").is_file()
    return version


@pytest.mark.parametrize("existing", [False, True])
def test_predictions_are_visible_as_one_thing_or_not_at_all(tmp_path, monkeypatch, existing):
    seen, steps = set(), 0
    for version in (1, 2) if existing else (2,):
        steps = write_version(tmp_path / "counted", version, monkeypatch)
    for killed_at in range(steps):
        folder = tmp_path / f"killed-{killed_at}" / "out"
        if existing:
            write_version(folder, 1, monkeypatch)
        with contextlib.suppress(KilledError):
            write_version(folder, 2, monkeypatch, killed_at)
        seen.add(version_in(folder))
        if not existing:
            assert not folder.exists() or version_in(folder) == 2
        write_version(folder, 3, monkeypatch)
        assert version_in(folder) == 3
    assert seen == ({1, None} if existing else {None})


def test_other_files_of_the_folder_are_kept(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("x")
    for version in (1, 2):
        write_predictions(tmp_path, [made(seed=version)], seconds=[version], single=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "boxes.csv", "notes", "predictions.json", "slices.parquet",
    ]  # fmt: skip
    assert (tmp_path / "notes" / "mine.txt").read_text() == "x"


def test_of_two_writers_of_a_new_folder_one_stays_complete(tmp_path, monkeypatch):
    folder = tmp_path / "out"
    move = outputs.move_into_place

    def second(source, target):
        monkeypatch.setattr(outputs, "move_into_place", move)
        write_predictions(folder, [made(seed=1)], seconds=[1.0], single=True)
        move(source, target)

    monkeypatch.setattr(outputs, "move_into_place", second)
    write_predictions(folder, [made(seed=2)], seconds=[2.0], single=True)
    assert version_in(folder) == 2
