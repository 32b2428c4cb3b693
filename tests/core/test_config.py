"""Settings come from the environment; a run config is strict."""

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from core.config import RunConfig, Settings, SlicePreparation, load_run_config
from core.errors import ConfigError
from core.types import HuWindow, NoiseReduction, Store


def config_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return path


def test_rsna_root_takes_the_place_of_the_demo_cohort(monkeypatch, tmp_path):
    monkeypatch.delenv("RSNA_ROOT", raising=False)
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path))
    assert Settings().data_root == tmp_path / "demo"
    monkeypatch.setenv("RSNA_ROOT", "/data")
    assert Settings().data_root == Path("/data")


def test_the_store_has_the_limits_of_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("CACHE_LIMIT_GIB", "0.5")
    monkeypatch.setenv("MIN_FREE_GIB", "3")
    monkeypatch.setenv("RSNA_CACHE", str(tmp_path / "cache"))
    assert Settings().store == Store(tmp_path / "cache", 1 << 29, 3 << 30)


def test_the_stores_folder_is_absolute_for_workers_elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RSNA_CACHE", "cache")
    assert Settings().store.folder == tmp_path / "cache"


def test_learning_rate_defaults_to_the_method_by_task():
    assert RunConfig(task="vertebra", data_root=Path()).learning_rate == 1e-3
    assert RunConfig(task="fracture", data_root=Path()).learning_rate == 1e-4
    assert RunConfig(task="fracture", data_root=Path(), max_lr=0.5).learning_rate == 0.5


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("task: fracture\ndata_root: x\ncolour: red\n", "colour"),
        ("task: fracture\ndata_root: x\nepochs: 0\n", "epochs"),
        ("task: fracture\ndata_root: x\nsize: 16\n", ": size: "),
        ("task: fracture\ndata_root: x\nwindow_center: .nan\n", "window_center"),
        ("task: fracture\ndata_root: x\nsize: 64\npreparation: {size: 32}\n", "size"),
        ("task: vertebra\ndata_root: x\ntype: 3\n", "the type of Vertebra detection is 1 or 2"),
        ("task: fracture\ndata_root: x\nfold: 5\n", "fold"),
        ("task: teeth\ndata_root: x\n", "task"),
        ("- a\n- b\n", "key: value"),
        ("task: [", "YAML"),
        ("", "key: value"),
    ],
)
def test_a_wrong_config_names_the_value(tmp_path, text, named):
    with pytest.raises(ConfigError, match=named):
        load_run_config(config_file(tmp_path, text))


def test_overrides_replace_values_and_none_does_not(tmp_path):
    path = config_file(tmp_path, "task: fracture\ndata_root: x\nfold: 1\nseed: 3\n")
    config = load_run_config(path, fold=2, seed=None)
    assert (config.fold, config.seed) == (2, 3)


def test_a_config_cannot_be_changed():
    config = RunConfig(task="fracture", data_root=Path())
    with pytest.raises(ValidationError):
        config.epochs = 3


def test_a_preparation_lies_flat_in_a_file_and_is_one_object_in_the_program(tmp_path):
    how = SlicePreparation(
        size=64, field_mm=90, window_center=50, window_width=350, channels="neighbours",
        noise_reduction="kmeans", noise_clusters=5,
    )  # fmt: skip
    text = (
        "task: fracture\ndata_root: x\nsize: 64\nfield_mm: 90\nwindow_center: 50\n"
        "window_width: 350\nchannels: neighbours\nnoise_reduction: kmeans\nnoise_clusters: 5\n"
    )
    config = load_run_config(config_file(tmp_path, text))
    assert config.preparation == how
    assert how.windows == (HuWindow(50, 350),)
    assert how.noise == NoiseReduction("kmeans", clusters=5)
    written = config.model_dump(mode="json")
    assert list(written) == list(RunConfig.file_fields())
    assert "preparation" not in written
    assert (written["size"], written["window_width"]) == (64, 350.0)
    again = load_run_config(config_file(tmp_path, yaml.safe_dump(written)))
    assert again == config == RunConfig(**config.model_dump())
    assert RunConfig(task="fracture", data_root=Path("x"), preparation=how) == config
    assert load_run_config(config_file(tmp_path, text), size=96).preparation.size == 96


def test_a_run_without_a_preparation_takes_the_usual_one():
    assert RunConfig(task="fracture", data_root=Path()).preparation == SlicePreparation()


def test_three_windows_take_the_place_of_the_one():
    how = SlicePreparation(channels="windows", window_center=-500)
    assert [window.center for window in how.windows] == [400, 40, 300]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 4, "accumulate": 5}, "accumulate splits a batch"),
        (
            {"early_stopping": True, "early_stopping_loss": "validation", "fold": None},
            "early_stopping_loss: validation needs a held-out fold",
        ),
        ({"ema_decay": 1.0}, "less than 1"),
        ({"backbone_lr_share": 0.0}, "greater than 0"),
        ({"optimizer": "sgd"}, "'adam' or 'adamw'"),
        ({"keep_epoch": "first"}, "'best' or 'last'"),
        ({"loader_workers": -1}, "greater than or equal to 0"),
    ],
)
def test_an_option_of_training_that_makes_no_sense_is_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        RunConfig(task="fracture", data_root=Path(), **options)
