import numpy as np
import pytest
import torch

from core.config import RunConfig
from core.dataset.rsna import read_studies
from core.errors import BundleError
from core.models.bundles import BundleConfig, read_bundle
from core.models.checkpoint import load_model, save_bundle
from core.models.registry import build_model
from core.prepared.slices import load_study_slices
from core.preprocessing.metadata import slice_metadata
from core.training import presence_labels
from core.training.presence_labels import presence_from_bundle
from core.training.runs import RunFolder
from core.training.slice_task import SliceTask
from core.types import StudyRecord
from tests.core.training.made_data_root import write_data_root
from tests.stores import made_store


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Four studies, the last two without masks; every second one is fractured."""
    root = write_data_root(tmp_path_factory.mktemp("data") / "root", studies=4, slices=7)
    for number in (3, 4):
        (root / "segmentations" / f"1.2.{number}.nii").unlink()
    return root


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return made_store(tmp_path_factory.mktemp("cache"))


def _bundle(folder, task="vertebra", type=2):
    torch.manual_seed(0)
    config = BundleConfig(
        name=folder.name, task=task, type=type, backbone="mobilenet_v3_large", size=32, crop=0.9,
        window_center=400, window_width=1800, weights_sha256="0" * 64, parameters=1, trained_on={},
        created="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    save_bundle(folder, build_model(task, type, config.backbone), config)
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return _bundle(tmp_path_factory.mktemp("bundles") / "vertebra")


@pytest.mark.slow
def test_studies_without_a_mask_get_what_the_model_sees(root, bundle, store):
    records = read_studies(root)
    found = presence_from_bundle(records, bundle, store=store)
    assert sorted(found) == ["1.2.3", "1.2.4"]
    info = read_bundle(bundle)
    record = records[2]
    study = load_study_slices(record, info.config.preparation, store=store)
    metadata = torch.from_numpy(slice_metadata(study.z_mm, study.thickness_mm))
    with torch.inference_mode():
        logits = load_model(info)(torch.from_numpy(np.array(study.images)), metadata)
    np.testing.assert_allclose(found["1.2.3"], torch.sigmoid(logits), atol=1e-6)
    assert found["1.2.3"].shape == (7, 7)


def test_a_second_call_runs_no_model(root, bundle, store, monkeypatch):
    first = presence_from_bundle(read_studies(root), bundle, store=store)
    monkeypatch.setattr(presence_labels, "load_model", None)
    again = presence_from_bundle(read_studies(root), bundle, store=store)
    for study_id, values in first.items():
        np.testing.assert_array_equal(again[study_id], values)


def test_other_weights_give_other_presences(root, bundle, store, tmp_path):
    other = _bundle(tmp_path / "other", type=1)
    one, two = (
        presence_from_bundle(read_studies(root), folder, store=store) for folder in (bundle, other)
    )
    assert (one["1.2.3"] != two["1.2.3"]).any()


def test_study_that_cannot_be_read_is_passed_over(bundle, store, tmp_path):
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "1.dcm").write_bytes(b"torn")
    records = [StudyRecord("9", tmp_path / "torn")]
    assert presence_from_bundle(records, bundle, store=store) == {}


def test_bundle_of_the_other_task_is_refused(root, store, tmp_path):
    fracture = _bundle(tmp_path / "fracture", task="fracture", type=1)
    with pytest.raises(BundleError, match="must detect vertebrae"):
        presence_from_bundle(read_studies(root), fracture, store=store)


@pytest.mark.parametrize(
    ("type", "with_bundle", "used"),
    [
        (1, False, ["1.2.1", "1.2.2", "1.2.3"]),
        (1, True, ["1.2.1", "1.2.2", "1.2.3", "1.2.4"]),
        (2, False, ["1.2.1", "1.2.2"]),
        (2, True, ["1.2.1", "1.2.2", "1.2.3", "1.2.4"]),
    ],
)
def test_cohort_takes_in_what_a_bundle_makes_of_use(
    root, bundle, store, tmp_path, type, with_bundle, used
):
    config = RunConfig(
        task="fracture", type=type, data_root=root, size=32, fold=None,
        vertebra_bundle=bundle if with_bundle else None,
    )  # fmt: skip
    run = RunFolder(tmp_path / "run")
    run.start(config, resume=False)
    cohort = SliceTask.load(config, read_studies(root), store, run, device="cpu").cohort
    assert list(cohort.training.study_ids) == used
    assert bool(cohort.training.presence[-1].any()) == (used[-1] == "1.2.4" or type == 2)
