from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from core.constants import VERTEBRAE
from core.errors import BundleError, DataRootError, DicomSeriesError
from core.experiments.presence_auc import presence_auc
from core.experiments.real_check import check_scans, read_levels
from core.experiments.real_scan_text import (
    check_text,
    keep_checks,
    scan_table,
    stored_checks,
    with_section,
)
from core.inference.verdict import NO_REFERENCE
from core.models.bundles import list_bundles, read_bundle

HEAD = ",".join(["slice_index", *VERTEBRAE])


def test_the_auc_leaves_out_two_slices_on_both_sides_of_an_end():
    rng = np.random.default_rng(0)
    present = np.zeros((40, 7), np.bool_)
    present[10:20, 2], present[18:40, 3] = True, True
    probs = rng.random((40, 7)).astype(np.float32)
    kept = {2: [*range(8), *range(12, 18), *range(22, 40)], 3: [*range(16), *range(20, 40)]}
    found = presence_auc(probs, present)
    assert list(found) == ["C3", "C4", "pooled"]
    for j, name in ((2, "C3"), (3, "C4")):
        assert found[name] == pytest.approx(roc_auc_score(present[kept[j], j], probs[kept[j], j]))
    truth = np.concatenate([present[kept[j], j] for j in kept])
    scores = np.concatenate([probs[kept[j], j] for j in kept])
    assert found["pooled"] == pytest.approx(roc_auc_score(truth, scores))


def test_a_level_of_one_class_has_no_auc():
    assert presence_auc(np.zeros((9, 7), np.float32), np.zeros((9, 7), np.bool_)) == {}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("slice_index,C1\n0,1\n", "no column C2"),
        (f"{HEAD}\n0,0,0,0,2,0,0,0\n", "line 2"),
        (f"{HEAD}\n0,0,0,0,0,0,0,0\nx,0,0,0,0,0,0,0\n", "line 3"),
    ],
)
def test_a_wrong_table_of_levels_is_named(tmp_path, text, match):
    (tmp_path / "levels.csv").write_text(text)
    with pytest.raises(DataRootError, match=match):
        read_levels(tmp_path)


def test_a_folder_without_levels_or_series(tmp_path, untrained_bundles):
    assert read_levels(tmp_path) is None
    with pytest.raises(DicomSeriesError):
        check_scans([tmp_path], untrained_bundles)
    with pytest.raises(BundleError):
        check_scans([tmp_path], tmp_path)


@pytest.fixture
def scan(phantom_root, tmp_path) -> Path:
    """A series of its own with a table of levels."""
    study = next((phantom_root / "train_images").iterdir())
    folder = tmp_path / "scan"
    folder.mkdir()
    files = sorted(study.iterdir(), key=lambda file: int(file.stem))
    for file in files:
        (folder / file.name).symlink_to(file)
    third = len(files) // 3
    rows = [f"{i},{int(third <= i < 2 * third)},0,0,0,0,0,0" for i in range(len(files))]
    (folder / "levels.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    return folder


def test_a_scan_is_checked_and_its_figures_go_to_the_cards(scan, untrained_bundles, tmp_path):
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    for bundle in list_bundles(untrained_bundles):
        own = checkpoints / bundle.folder.name
        own.mkdir()
        for file in bundle.folder.iterdir():
            (own / file.name).write_bytes(file.read_bytes())
        (own / "MODEL_CARD.md").write_text("# Card\n\nText.\n")
    (found,) = check_scans([scan], checkpoints)
    (network,) = found.networks
    assert set(network.presence_auc) == {"C1", "pooled"}
    assert found.boxes is None
    assert network.verdict.score is None
    text = check_text(found)
    assert NO_REFERENCE in text
    assert "no localiser" in text
    for _ in range(2):
        keep_checks([found], checkpoints)
    assert len(stored_checks(checkpoints)) == 1
    card = (checkpoints / "fracture-untrained" / "MODEL_CARD.md").read_text()
    assert card.startswith("# Card\n\nText.\n")
    assert card.count("## Real scans") == 1
    assert "no sensitivity" in card.replace("\n", " ") or "no sensitivity" in card
    assert f"patient probability {network.verdict.prob:.4f}" in card
    seen = (checkpoints / "vertebra-untrained" / "MODEL_CARD.md").read_text()
    assert f"C1 {network.presence_auc['C1']:.3f}" in seen
    assert f"{network.verdict.prob:.4f}" in scan_table(stored_checks(checkpoints))
    assert json.dumps(found.to_json(), allow_nan=False)


def test_levels_of_another_series_are_refused(scan, untrained_bundles):
    lines = (scan / "levels.csv").read_text().splitlines()
    (scan / "levels.csv").write_text("\n".join(lines[:-1]))
    with pytest.raises(DataRootError, match="does not list the slices"):
        check_scans([scan], untrained_bundles)


def test_a_new_section_replaces_the_old_one(untrained_bundles):
    bundle = read_bundle(untrained_bundles / "vertebra-untrained")
    scans = [{"scan": "a", "networks": [], "boxes": None}]
    once = with_section("# Card\n\nText.\n", bundle, scans)
    assert with_section(once, bundle, scans) == once
