"""`segment` writes a mask that the product reads back; bad input ends in one sentence."""

from core.dataset.masks import load_vertebra_mask
from core.dicom.series import read_series
from tests.core.cli.outcome import assert_one_sentence


def study_of(root):
    return next((root / "train_images").iterdir())


def test_a_study_is_segmented_into_a_mask(
    run, phantom_root, untrained_segmenter, tmp_path, monkeypatch
):
    monkeypatch.setenv("CHECKPOINTS", str(untrained_segmenter))
    out, study = tmp_path / "mask.nii.gz", study_of(phantom_root)
    bundle = untrained_segmenter / "segmentation-untrained"
    status, printed, errors = run(
        "segment", study, "--out", out, "--bundle", bundle, "--device", "cpu"
    )
    assert status == 0, errors
    assert "labelled by segmentation-untrained" in printed
    volume = read_series(study)
    mask = load_vertebra_mask(out, volume, on_bone=False)
    assert mask.shape == volume.hu.shape
    assert mask.max() <= 8


def test_a_missing_bundle_folder_or_suffix_ends_in_one_sentence(
    run, phantom_root, tmp_path, monkeypatch
):
    monkeypatch.setenv("CHECKPOINTS", str(tmp_path / "checkpoints"))
    study = study_of(phantom_root)
    assert_one_sentence(run("segment", study, "--out", tmp_path / "mask.nii"))
    assert_one_sentence(run("segment", study, "--out", tmp_path / "mask.png"))
    missing = run("segment", tmp_path / "nothing", "--out", tmp_path / "mask.nii")
    assert_one_sentence(missing)
