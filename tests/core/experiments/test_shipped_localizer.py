"""The shipped localiser's stages each start from the previous one and are trained once."""

from __future__ import annotations

import pytest
import yaml

from core.config import Settings, load_run_config
from core.experiments import shipped_localizer
from core.experiments.cohorts import GeneratedCohort
from core.experiments.shipped_localizer import STAGES, train_stages
from core.models.bundles import read_bundle

TINY = {
    "task": "localization", "size": 64, "field_mm": 120, "epochs": 1, "batch_size": 4,
    "negatives": 0.3, "fold": None, "device": "cpu", "channels": "neighbours",
}  # fmt: skip


@pytest.fixture
def tiny_stages(tmp_path, phantom_root, monkeypatch):
    """Two stages on the small cohort."""
    stages = []
    for number, name in enumerate(("first", "more")):
        file = tmp_path / f"{name}.yaml"
        file.write_text(yaml.safe_dump(TINY | {"seed": number, "data_root": "elsewhere"}))
        (tmp_path / "work").mkdir(exist_ok=True)
        (tmp_path / "work" / name).symlink_to(phantom_root, target_is_directory=True)
        stages.append((file, GeneratedCohort(name, 6, 1, "")))
    monkeypatch.setattr(shipped_localizer, "STAGES", tuple(stages))
    return tmp_path / "work"


@pytest.mark.training
def test_a_stage_starts_from_the_previous_one_and_records_it(tiny_stages, tmp_path):
    settings, said = Settings(rsna_cache=tmp_path / "cache"), []
    made = train_stages(settings, tiny_stages, say=said.append)
    first = read_bundle(tiny_stages / "runs" / "localization_first" / "bundle").config
    last = read_bundle(made).config
    assert made == tiny_stages / "runs" / "localization_more" / "bundle"
    assert said == [f"Training runs/localization_{name}" for name in ("first", "more")]
    assert last.weights_sha256 != first.weights_sha256
    assert last.anchors == first.anchors
    assert first.trained_on["earlier_stages"] == []
    assert first.trained_on["init_from"] is None
    assert last.trained_on["init_from"] == first.name
    data = {name: first.trained_on[name] for name in ("studies", "boxes", "study_ids_sha256")}
    assert last.trained_on["earlier_stages"] == [data | {"epochs": 1}]
    before = (made / "model.safetensors").stat().st_mtime_ns
    assert train_stages(settings, tiny_stages, say=said.append) == made
    assert (made / "model.safetensors").stat().st_mtime_ns == before
    assert len(said) == 2


def test_the_shipped_stages_fit_each_other():
    configs = [load_run_config(file) for file, _ in STAGES]
    for name in ("backbone", "preparation"):
        assert len({getattr(config, name) for config in configs}) == 1, name
    assert [cohort.seed for _, cohort in STAGES] == [11, 11]
