import json
import logging
import subprocess
import sys

import pytest

from core.errors import BundleError
from core.models.bundles import list_bundles, read_bundle

CONFIG = {
    "format": 1, "name": "made", "task": "fracture", "type": 1, "backbone": "googlenet",
    "size": 192, "crop": 0.7, "window_center": 400.0, "window_width": 1800.0,
    "weights_sha256": "a" * 64, "parameters": 10, "trained_on": {"synthetic": True},
    "created": "2026-01-01T00:00:00+00:00",
}  # fmt: skip


def _write(folder, config=CONFIG, **others):
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"")
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    for name, content in others.items():
        (folder / f"{name}.json").write_text(content)
    return folder


def test_reads_config_metrics_and_operating_points(tmp_path):
    folder = _write(tmp_path / "b", metrics='{"auc": 0.9}', operating_points='{"best_f1": 0.4}')
    bundle = read_bundle(folder)
    assert bundle.config.backbone == "googlenet"
    assert bundle.config.preparation.windows[0].upper == 1300.0
    assert bundle.metrics == {"auc": 0.9}
    assert bundle.operating_points == {"best_f1": 0.4}


def test_a_config_older_than_channel_modes_means_grey_slices(tmp_path):
    config = read_bundle(_write(tmp_path / "b")).config
    assert config.preparation.channels == "grey"
    assert (config.alpha, config.vertebra_bundle) == (2.0, None)


@pytest.mark.parametrize(
    ("task", "kind", "gives", "reads"),
    [
        ("vertebra", 1, True, False),
        ("vertebra", 2, True, False),
        ("fracture", 1, False, False),
        ("fracture", 2, False, True),
        ("fracture", 3, True, False),
    ],
)
def test_a_config_knows_the_inputs_and_outputs_of_its_model(tmp_path, task, kind, gives, reads):
    config = read_bundle(_write(tmp_path / "b", CONFIG | {"task": task, "type": kind})).config
    assert (config.gives_presence, config.takes_presence) == (gives, reads)


def test_metrics_may_be_absent(tmp_path):
    bundle = read_bundle(_write(tmp_path / "b"))
    assert bundle.metrics is None
    assert bundle.operating_points is None


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("{", "cannot be read as JSON"),
        ("[1]", "JSON object"),
        ("\ufeffnull", "JSON"),
        (CONFIG | {"colour": 1}, "colour"),
        (CONFIG | {"backbone": "lenet"}, "backbone"),
        (CONFIG | {"format": 2}, "format"),
        (CONFIG | {"weights_sha256": "x"}, "weights_sha256"),
        (CONFIG | {"size": -1}, "size"),
        (CONFIG | {"channels": "colour"}, "channels"),
        (CONFIG | {"alpha": 0}, "alpha"),
        ({k: v for k, v in CONFIG.items() if k != "crop"}, "crop"),
    ],
)
def test_bad_config_is_named(tmp_path, config, says):
    with pytest.raises(BundleError, match=says):
        read_bundle(_write(tmp_path / "b", config))


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_missing_file_is_named(tmp_path, missing):
    folder = _write(tmp_path / "b")
    (folder / missing).unlink()
    with pytest.raises(BundleError, match=missing):
        read_bundle(folder)


def test_a_missing_folder_is_a_bundle_error(tmp_path):
    with pytest.raises(BundleError, match=r"config\.json"):
        read_bundle(tmp_path / "nowhere")


def test_the_list_leaves_invalid_bundles_out_with_a_warning(tmp_path, caplog):
    _write(tmp_path / "b")
    _write(tmp_path / "a")
    _write(tmp_path / "broken", "{")
    _write(tmp_path / "bad_metrics", metrics="nonsense")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "README.md").write_text("")
    with caplog.at_level(logging.WARNING):
        assert [b.folder.name for b in list_bundles(tmp_path)] == ["a", "b"]
    assert len(caplog.records) == 2


def test_no_checkpoints_folder_means_no_bundles(tmp_path):
    assert list_bundles(tmp_path / "nowhere") == []


def test_reading_bundles_does_not_import_torch():
    code = "import sys, core.models.bundles; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
