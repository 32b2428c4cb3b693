from __future__ import annotations

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from core.constants import VERTEBRAE
from core.dicom.series import read_series
from core.errors import DataRootError
from core.evaluation.tables.score_files import read_truth_table
from core.evaluation.tables.truth import (
    truth_from_csv,
    truth_from_data_root,
    truth_from_parquet,
)
from tests.core.dicom.dicom_factory import write_ct_series

HEADER = "StudyInstanceUID,patient_overall,C1,C2,C3,C4,C5,C6,C7"
RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_root(root):
    """Three studies of six slices; only the first has a mask: C1 on 0..1, C2 on 1..3, T1 on 5."""
    for name in ("1.1", "1.2", "1.3"):
        write_ct_series(root / "train_images" / name, np.zeros((6, 8, 8), np.int16), study_uid=name)
    rows = ["1.1,1,0,1,0,0,0,0,0", "1.2,0,0,0,0,0,0,0,0"]
    (root / "train.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    labels = np.zeros((6, 8, 8), np.uint8)
    labels[0:2, 2, 2], labels[1:4, 5, 5], labels[5, 4, 4] = 1, 2, 8
    volume = read_series(root / "train_images" / "1.1", jobs=1)
    # The real masks are stored sagittally and upwards: x first, z last and rising.
    flipped = labels[::-1].transpose(2, 1, 0)
    to_lps = volume.affine @ np.array(
        [[0, 0, -1, 5], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=float
    )
    (root / "segmentations").mkdir()
    image = nib.Nifti1Image(flipped, RAS_FROM_LPS @ to_lps)
    nib.save(image, root / "segmentations" / "1.1.nii")
    return labels


def test_a_data_root_gives_labels_and_presence_on_the_slices(tmp_path):
    write_root(tmp_path)
    truth = truth_from_data_root(tmp_path)

    assert [study.study_id for study in truth] == ["1.1", "1.2"]
    assert truth[0].fractured.tolist() == [False, True] + [False] * 5
    assert truth[0].presence is not None
    expected = np.zeros((6, 7), dtype=bool)
    expected[0:2, 0] = expected[1:4, 1] = True
    assert truth[0].presence.tolist() == expected.tolist()
    assert truth[1].presence is None


def test_only_the_studies_asked_for_are_opened(tmp_path):
    write_root(tmp_path)
    (tmp_path / "segmentations" / "1.1.nii").write_bytes(b"broken")

    assert [study.study_id for study in truth_from_data_root(tmp_path, ["1.2", "9"])] == ["1.2"]
    assert len(truth_from_data_root(tmp_path, with_presence=False)) == 2
    with pytest.raises(DataRootError, match=r"1\.1\.nii"):
        truth_from_data_root(tmp_path)


def test_a_csv_gives_labels_without_presence(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text(f"{HEADER}\n1.2.30,1,1,0,0,0,0,0,1\n1.2.4,0,0,0,0,0,0,0,0\n")
    truth = truth_from_csv(path)

    assert [study.study_id for study in truth] == ["1.2.30", "1.2.4"]
    assert truth[0].fractured.tolist() == [True, False, False, False, False, False, True]
    assert truth[0].presence is None


def test_a_study_id_that_looks_like_a_number_keeps_its_digits(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("StudyInstanceUID,C1,C2,C3,C4,C5,C6,C7\n1.10,0,0,0,0,0,0,0\n")

    assert truth_from_csv(path)[0].study_id == "1.10"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(
    "values", [("0", "1"), ("False", "True"), ("FALSE", "TRUE"), ("0.0", "1.0")]
)
@pytest.mark.parametrize("overall", [True, False])
def test_one_table_is_read_the_same_alone_and_in_its_data_root(
    tmp_path, separator, values, overall
):
    heading = ["Study Instance UID", *(["Patient Overall"] if overall else [])]
    heading += [f" c{j}" for j in range(1, 8)]
    labels = {"1.1": (0, 1, 0, 0, 0, 0, 1), "1.2": (0,) * 7}
    rows = [
        [f" {study} ", *([values[max(y)]] if overall else []), *(f'"{values[k]}"' for k in y)]
        for study, y in labels.items()
    ]
    text = "\ufeff" + "\r\n".join(separator.join(row) for row in [heading, *rows])
    (tmp_path / "train.csv").write_text(text, newline="")
    for study in labels:
        (tmp_path / "train_images" / study).mkdir(parents=True)
    expected = {study: [bool(k) for k in y] for study, y in labels.items()}
    alone = truth_from_csv(tmp_path / "train.csv")
    rooted = truth_from_data_root(tmp_path)
    for found in (alone, rooted):
        assert {truth.study_id: truth.fractured.tolist() for truth in found} == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("StudyInstanceUID,C1,C2,C3,C4,C5,C6\n1,0,0,0,0,0,0\n", "line 1: no column C7"),
        (f"{HEADER}\n1.1,0,0,0,0,0,0,0,2\n", "line 2: C7 must be 0 or 1"),
        (f"{HEADER}\n1.1,0,,0,0,0,0,0,0\n", "line 2: C1 must be 0 or 1"),
        (f"{HEADER}\n1.1,0,maybe,0,0,0,0,0,0\n", "line 2: C1 must be 0 or 1"),
        (f"{HEADER}\n1.1,0,1,0,0,0,0,0,0\n", "line 2: patient_overall is not the largest"),
        (f"{HEADER}\n" + "1.1,0,0,0,0,0,0,0,0\n" * 3, r"line 3: .*earlier line.*\(and 1 more\)"),
        (f"{HEADER}\n,0,0,0,0,0,0,0,0\n", "line 2: StudyInstanceUID is empty"),
        ("", "there is no heading"),
        ("\x00\xff", "cannot be read as a CSV"),
    ],
)
def test_a_bad_csv_names_file_and_column(tmp_path, content, message):
    path = tmp_path / "labels.csv"
    path.write_text(content, encoding="latin-1")

    with pytest.raises(DataRootError, match=message) as error:
        truth_from_csv(path)
    assert "labels.csv" in str(error.value)


def parquet_truth(folder):
    labels = pd.DataFrame({"study_id": ["1.1", "1.2"]})
    for name in VERTEBRAE:
        labels[f"y_{name}"] = [int(name == "C2"), 0]
    labels["patient_overall"] = [1, 0]
    labels.to_parquet(folder / "truth.parquet")
    present = pd.DataFrame({"study_id": ["1.1"] * 3, "slice_index": [2, 0, 1]})
    for name in VERTEBRAE:
        present[f"present_{name}"] = [int(name == "C2"), int(name == "C1"), 0]
    return labels, present


def test_parquet_truth_reads_presence_next_to_it(tmp_path):
    _, present = parquet_truth(tmp_path)
    labels = read_truth_table(tmp_path)
    assert labels.fractured.tolist() == [[False, True] + [False] * 5, [False] * 7]
    assert not labels.has_slices.any()
    (second,) = truth_from_parquet(tmp_path / "truth.parquet", {"1.2"})
    assert (second.study_id, second.fractured.any()) == ("1.2", False)

    present.to_parquet(tmp_path / "present.parquet")
    truth = read_truth_table(tmp_path / "truth.parquet")
    assert np.array_equal(truth.fractured, labels.fractured)
    assert truth.has_slices.tolist() == [True, False]
    assert truth.presence.argmax(axis=1).tolist() == [0, 0, 1]
    assert truth.presence.any(axis=1).tolist() == [True, False, True]


def test_presence_rows_must_be_complete(tmp_path):
    _, present = parquet_truth(tmp_path)
    present["slice_index"] = [0, 1, 1]
    present.to_parquet(tmp_path / "present.parquet")

    with pytest.raises(DataRootError, match=r"slice_index of study 1\.1 is not 0\.\.2"):
        read_truth_table(tmp_path / "truth.parquet")


def test_truth_is_read_from_a_data_root_a_csv_or_parquet(tmp_path):
    root = tmp_path / "root"
    write_root(root)
    parquet_truth(tmp_path)

    assert read_truth_table(root).has_slices[0]
    assert not read_truth_table(root / "train.csv").has_slices.any()
    for place in (tmp_path, tmp_path / "truth.parquet"):
        assert read_truth_table(place).n_studies == 2
    for absent in ("nowhere", "nowhere.csv", "nowhere.parquet"):
        with pytest.raises(DataRootError, match="does not exist"):
            read_truth_table(tmp_path / absent)


def test_an_unreadable_parquet_is_named(tmp_path):
    (tmp_path / "truth.parquet").write_bytes(b"no")

    with pytest.raises(DataRootError, match="cannot be read as Parquet"):
        read_truth_table(tmp_path)
