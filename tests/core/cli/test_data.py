"""Making, indexing and preparing studies from the command line."""

import json

import pandas as pd
import pytest
import yaml

from tests.core.cli.outcome import assert_one_sentence
from tests.core.dataset.made_root import add_study, write_boxes


@pytest.fixture(autouse=True)
def cache_dir(monkeypatch, tmp_path):
    folder = tmp_path / "cache"
    monkeypatch.setenv("RSNA_CACHE", str(folder))
    return folder


@pytest.mark.slow
def test_phantom_prints_what_it_made_and_where(run, tmp_path):
    status, out, errors = run("phantom", tmp_path / "new", "--studies", 1, "--matrix", 64,
                              "--jobs", 1)  # fmt: skip
    assert status == 0, errors
    assert f"1 synthetic studies in {tmp_path / 'new'}" in out
    assert "synthetic studies: 100%" in errors
    assert json.loads((tmp_path / "new" / "phantom.json").read_text())["rsna_like"] is False


def test_phantom_hands_the_kind_of_cohort_on(run, monkeypatch, tmp_path):
    asked = {}
    monkeypatch.setattr(
        "core.phantom.cohort.write_cohort", lambda out, **options: asked.update(options)
    )
    assert run("phantom", tmp_path, "--rsna-like", "--seed", 5)[0] == 0
    assert asked["rsna_like"] is True
    assert asked["seed"] == 5


def test_index_prints_the_quality_table_and_writes_the_report(run, phantom_root, tmp_path):
    report = tmp_path / "report.html"
    status, out, errors = run("index", phantom_root, "--jobs", 1, "--report", report)
    assert status == 0, errors
    assert "index: 100%" in errors
    assert "studies" in out
    assert f"Report in {report}" in out
    assert "<h1>" in report.read_text()
    folder = out.rpartition("Index in ")[2].strip()
    files = len(list((phantom_root / "train_images").rglob("*.dcm")))
    assert len(pd.read_parquet(f"{folder}/index.parquet")) == files
    assert len(pd.read_parquet(f"{folder}/studies.parquet")) == 3


def test_index_reports_boxes_that_lie_on_no_slice(run, tmp_path):
    root = tmp_path / "root"
    add_study(root, "1.1")
    write_boxes(root, [("1.1", 3), ("1.1", 99)])
    report = tmp_path / "report.html"
    status, out, errors = run("index", root, "--jobs", 1, "--report", report)
    assert status == 0, errors
    sentence = "train_bounding_boxes.csv, line 3: its study has no slice of that number"
    assert sentence in out
    assert sentence in report.read_text()


def test_verify_is_quiet_about_an_unchanged_set_and_names_what_changed(run, phantom_root, tmp_path):
    root = tmp_path / "root"
    study = sorted((phantom_root / "train_images").iterdir())[0]
    copied = root / "train_images" / study.name
    copied.mkdir(parents=True)
    for file in study.iterdir():
        (copied / file.name).write_bytes(file.read_bytes())
    assert_one_sentence(run("index", root, "--verify"))
    assert run("index", root, "--jobs", 1)[0] == 0
    status, out, _ = run("index", root, "--verify", "--jobs", 1)
    assert status == 0
    assert "No file has changed" in out
    victim = sorted(copied.iterdir())[3]
    victim.write_bytes(victim.read_bytes()[:-2] + b"\x01\x02")
    outcome = run("index", root, "--verify", "--jobs", 1)
    assert_one_sentence(outcome)
    assert victim.name in outcome[2]


def test_cache_prepares_once_and_finds_afterwards(run, phantom_root, cache_dir):
    command = ("cache", phantom_root, "--size", 48, "--window", "40/400", "--jobs", 1)
    status, out, errors = run(*command)
    assert status == 0, errors
    assert "slice store: 100%" in errors
    assert "3 studies prepared, 0 found" in out
    assert len(list((cache_dir / "slices").rglob("images.npy"))) == 3
    assert "0 studies prepared, 3 found" in run(*command)[1]


def test_cache_takes_its_settings_from_a_run_config(run, phantom_root, tmp_path):
    config = {
        "task": "fracture", "data_root": str(phantom_root), "size": 32, "crop": 0.5,
        "window_center": 40, "window_width": 400, "channels": "windows",
    }  # fmt: skip
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    assert run("cache", phantom_root, "--config", tmp_path / "run.yaml", "--jobs", 1)[0] == 0
    out = run("cache", phantom_root, "--size", 32, "--crop", 0.5, "--window", "40/400",
              "--channels", "windows", "--jobs", 1)[1]  # fmt: skip
    assert "0 studies prepared, 3 found" in out


def test_cache_for_the_viewer_keeps_whole_volumes(run, phantom_root, cache_dir):
    status, out, errors = run("cache", phantom_root, "--viewer", "--jobs", 1)
    assert status == 0, errors
    assert "3 volumes are ready" in out
    assert len(list((cache_dir / "volumes").rglob("hu.npy"))) == 3


def test_a_study_that_cannot_be_prepared_is_left_out_and_named(run, phantom_root, tmp_path):
    root = tmp_path / "root" / "train_images"
    (root / "broken").mkdir(parents=True)
    (root / "broken" / "1.dcm").write_bytes(b"not an image")
    outcome = run("cache", root.parent, "--size", 32, "--jobs", 1)
    assert_one_sentence(outcome)
    assert "Left out: broken" in outcome[1]
    good = sorted((phantom_root / "train_images").iterdir())[0]
    (root / good.name).symlink_to(good)
    for kind in (("--size", 32), ("--viewer",)):
        status, out, _ = run("cache", root.parent, *kind, "--jobs", 1)
        assert status == 0
        assert "Left out: broken" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ("phantom", "{tmp}/text", "--studies", "1"),
        ("index", "{tmp}/nowhere"),
        ("index", "{tmp}/text"),
        ("index", "{root}", "--jobs", "2", "--dask", "tcp://127.0.0.1:1"),
        ("index", "{root}", "--dask", "localhost"),
        ("index", "{root}", "--verify", "--fresh"),
        ("cache", "{tmp}/nowhere"),
        ("cache", "{root}", "--window", "bone"),
        ("cache", "{root}", "--window", "400/0"),
        ("cache", "{root}", "--crop", "0.1"),
        ("cache", "{root}", "--crop", "nan"),
        ("cache", "{root}", "--viewer", "--size", "64"),
        ("cache", "{root}", "--config", "{tmp}/missing.yaml"),
        ("cache", "{root}", "--config", "{tmp}/missing.yaml", "--size", "64"),
        ("cache", "{root}", "--jobs", "1", "--dask", "tcp://127.0.0.1:1"),
        ("predict", "{root}", "--out", "{tmp}/out", "--jobs", "1", "--dask", "tcp://127.0.0.1:1"),
    ],
)
def test_bad_input_is_one_sentence(run, phantom_root, tmp_path, arguments):
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "notes.txt").write_text("hello")
    assert_one_sentence(run(*(a.format(tmp=tmp_path, root=phantom_root) for a in arguments)))


@pytest.mark.parametrize("command", ["index", "cache", "predict"])
def test_a_scheduler_that_is_not_there_is_one_sentence(
    run, phantom_root, tmp_path, monkeypatch, command
):
    monkeypatch.setattr("core.system.parallel.CONNECT_SECONDS", 0.3)
    out = ("--out", tmp_path / "out") if command == "predict" else ()
    outcome = run(command, phantom_root, *out, "--dask", "tcp://127.0.0.1:1")
    assert_one_sentence(outcome)
    assert "dask scheduler" in outcome[2]


def test_progress_is_written_for_other_processes(run, phantom_root, tmp_path):
    file = tmp_path / "progress.json"
    assert run("index", phantom_root, "--jobs", 1, "--progress-file", file)[0] == 0
    written = json.loads(file.read_text())
    assert (written["state"], written["done"], written["total"], written["message"]) == (
        "finished",
        3,
        3,
        "",
    )
    assert written["first_done"] <= 1
    assert written["started"] <= written["updated"]
    assert_one_sentence(run("index", tmp_path / "nowhere", "--progress-file", file))
    written = json.loads(file.read_text())
    assert written["state"] == "failed"
    assert "no folder" in written["message"]
