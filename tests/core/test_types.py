"""A study id is one name, wherever it comes from."""

from __future__ import annotations

import pandas as pd
import pytest

from core.constants import VERTEBRAE
from core.errors import CSpineError, DataRootError
from core.evaluation.tables.outside_scores import read_outside_scores
from core.evaluation.tables.score_files import read_score_table
from core.evaluation.tables.truth import truth_from_csv, truth_from_parquet
from core.inference.outputs import FRACTURE_COLUMNS, PRESENCE_COLUMNS
from core.types import StudyId

BAD = (
    "../../../etc",
    "..",
    ".",
    ".hidden",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "a\nb",
    "a\tb",
    "x" * 161,
)


@pytest.mark.parametrize(
    "text", ["1.2.826.0.1.3680043.1", "study_01", "Fall 7 (neu)", "größe", "a..b", "x" * 160]
)
def test_a_name_without_slashes_is_a_study_id(text):
    assert StudyId(text) == text


@pytest.mark.parametrize("text", [*BAD, "", "\0", "\ud800"])
def test_what_could_lead_elsewhere_is_none_and_is_not_quoted(text):
    with pytest.raises(DataRootError, match="A study id is not") as caught:
        StudyId(text)
    assert len(text) < 4 or text not in str(caught.value)


@pytest.mark.parametrize("bad", BAD)
def test_no_table_brings_another_one_in(tmp_path, bad):
    ids = pd.DataFrame({"study_id": ["1.2.3", bad]})
    labels = {name: [0, 1] for name in VERTEBRAE}
    wide = ids.rename(columns={"study_id": "uid"}).assign(Overall=0.5, **labels)
    rows = [
        {"row_id": f"{study}_{kind}", "fractured": 0.5}
        for study in ids["study_id"] for kind in (*VERTEBRAE, "patient_overall")
    ]  # fmt: skip
    slices = ids.assign(slice_index=0, fracture_type=2, z_mm=0.0)
    slices = slices.assign(**dict.fromkeys((*PRESENCE_COLUMNS, *FRACTURE_COLUMNS), 0.5))
    wide.to_csv(tmp_path / "wide.csv", index=False)
    pd.DataFrame(rows).to_csv(tmp_path / "competition.csv", index=False)
    slices.to_parquet(tmp_path / "slices.parquet")
    ids.rename(columns={"study_id": "StudyInstanceUID"}).assign(**labels).to_csv(
        tmp_path / "train.csv", index=False
    )
    ids.assign(**{f"y_{name}": [0, 1] for name in VERTEBRAE}).to_parquet(tmp_path / "truth.parquet")
    for read, name in (
        (read_outside_scores, "wide.csv"),
        (read_outside_scores, "competition.csv"),
        (read_score_table, "slices.parquet"),
        (truth_from_csv, "train.csv"),
        (truth_from_parquet, "truth.parquet"),
    ):
        with pytest.raises(CSpineError, match=r"stud|line \d+"):
            read(tmp_path / name)
