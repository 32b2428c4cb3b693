"""`evaluate --subgroups`: which studies are worse, with added columns, as text and as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from core.constants import VERTEBRAE
from tests.core.cli.outcome import assert_one_sentence

N = 240


@pytest.fixture
def place(tmp_path):
    """Scores of another model, truth with corrupted labels at one site, and a table of sites."""
    rng = np.random.default_rng(4)
    fractured = rng.random(N) < 0.4
    score = np.clip(rng.normal(np.where(fractured, 0.7, 0.3), 0.15), 0, 1)
    site = rng.integers(0, 4, N)
    corrupted = (site == 2) & (rng.random(N) < 0.5)
    truth = fractured ^ corrupted
    ids = [f"1.2.{k}" for k in range(N)]
    header = ",".join(["uid", "Overall", *VERTEBRAE])
    rows = [f"{i},{s:.4f},{','.join([f'{s:.4f}'] * 7)}" for i, s in zip(ids, score, strict=True)]
    (tmp_path / "scores.csv").write_text("\n".join([header, *rows]) + "\n")
    header = ",".join(["StudyInstanceUID", "patient_overall", *VERTEBRAE])
    rows = [f"{i},{int(t)},{int(t)},0,0,0,0,0,0" for i, t in zip(ids, truth, strict=True)]
    (tmp_path / "train.csv").write_text("\n".join([header, *rows]) + "\n")
    rows = [f"{i},hospital {s},{k % 5}" for k, (i, s) in enumerate(zip(ids, site, strict=True))]
    (tmp_path / "sites.csv").write_text("\n".join(["study_id,Site,Shift", *rows]) + "\n")
    return tmp_path


def evaluate(run, place, *options: str):
    return run(
        "evaluate", place / "scores.csv", "--truth", place / "train.csv", "--replicates", "20",
        *options,
    )  # fmt: skip


def test_the_site_with_corrupted_labels_is_first_in_both_lists(run, place):
    status, out, errors = evaluate(run, place, "--attributes", str(place / "sites.csv"), "--json")
    assert status == 0, errors
    found = json.loads(out)["subgroups"]
    first = found["groups"][0]
    assert (found["level"], first["attribute"], first["group"]) == ("patient", "Site", "hospital 2")
    assert first["weakness"]
    assert first["error"]["low"] > found["overall"]["error"]["value"]
    assert not any(group["weakness"] for group in found["groups"][1:])
    worst = found["worst_parts"][0]
    assert worst["conditions"] == {"Site": "hospital 2"}
    assert worst["adjusted_p"] < 0.01


def test_text_says_the_same_in_sentences(run, place):
    options = ("--subgroups", "patient", "--attributes", str(place / "sites.csv"))
    _, text, _ = evaluate(run, place, *options)
    assert "Site: hospital 2: " in text
    assert "More errors, by more than chance" in text
    assert "worst parts" in text


def test_without_columns_the_labels_alone_make_groups(run, place):
    _, text, _ = evaluate(run, place, "--subgroups", "vertebra")
    assert "Vertebra: C1" in text
    assert "Site" not in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--subgroups", "person"), "'person' is not a level"),
        (("--subgroups", "slice"), "no slice level"),
        (("--attributes", "none.csv"), "does not exist"),
    ],
)
def test_bad_input_is_one_sentence(run, place, options, message):
    result = evaluate(run, place, *options)
    assert_one_sentence(result)
    assert message in result[2]
