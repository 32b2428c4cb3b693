"""A localisation run: its data, its folder, its bundle, and going on after a stop."""

from __future__ import annotations

import json
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from core.config import RunConfig, SlicePreparation
from core.dataset.rsna import read_studies
from core.dicom.series import read_series
from core.errors import TrainingError
from core.models.bundles import read_bundle
from core.models.localizer_bundle import load_localizer
from core.prepared.box_dataset import BoxDataset
from core.prepared.box_slices import BoxSlices, load_box_slices
from core.preprocessing.box_geometry import boxes_from_square
from core.training.runs import RunFolder
from core.training.trainer import train
from tests.stores import made_store

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return made_store(tmp_path_factory.mktemp("cache"))


def config(root, **changes):
    values = {
        "task": "localization", "data_root": root, "size": 64, "field_mm": 120, "epochs": 2,
        "batch_size": 4, "fold": None, "device": "cpu", "augment": True, "channels": "neighbours",
        "negatives": 0.3, "checkpoint_every_s": 0,
    }  # fmt: skip
    return RunConfig(**(values | changes))


def made_study(name, *, boxes, fractured, slices=6):
    images = (
        np.full((slices, 32, 32), 7, np.uint8) * np.arange(slices, dtype=np.uint8)[:, None, None]
    )
    return BoxSlices(
        name, images, np.tile([0.0, 0, 32, 32], (slices, 1)),
        {i: np.array([[4.0, 4, 12, 10]]) for i in boxes}, None, fractured, np.arange(slices) * 1.0,
    )  # fmt: skip


def test_boxes_of_the_table_lie_on_their_slices(phantom_root, store):
    record = next(r for r in read_studies(phantom_root) if r.boxes)
    study = load_box_slices(record, SlicePreparation(field_mm=120, size=64), store=store)
    volume = read_series(record.folder)
    number_of = {int(path.stem): i for i, path in enumerate(volume.source_files)}
    expected = {number_of[number]: xyxy for number, xyxy in record.boxes}
    assert set(study.boxes) == set(expected)
    for i, box in study.boxes.items():
        np.testing.assert_allclose(
            boxes_from_square(box, study.squares[i], 64)[0], expected[i], atol=1e-9
        )


def test_an_epoch_has_every_boxed_slice_and_no_slice_beside_one():
    data = BoxDataset(
        [
            made_study("a", boxes=[2, 3], fractured=True),
            made_study("b", boxes=[], fractured=False),
            made_study("unknown", boxes=[], fractured=True),
        ],
        neighbours=False,
    )
    assert len(data) == 12
    order = data.training_order(seed=(1,), negatives=100)
    assert sorted(order[order < 6].tolist()) == [0, 2, 3, 5]
    assert sorted(data.training_order(seed=(1,), negatives=0).tolist()) == [2, 3]
    half = data.training_order(seed=(2,), negatives=1.0)
    assert sorted(data.boxed[half].tolist()) == [False, False, True, True]
    assert (half == data.training_order(seed=(2,), negatives=1.0)).all()


def test_neighbours_are_the_slices_above_and_below():
    data = BoxDataset([made_study("a", boxes=[2], fractured=True)], neighbours=True)
    batch = data.batch(np.array([0, 2]))
    assert batch.images[:, :, 0, 0].tolist() == [[0, 0, 7], [7, 14, 21]]
    assert [len(boxes) for boxes in batch.boxes] == [0, 1]


def test_a_slice_is_changed_by_the_seed_and_its_index_alone():
    data = BoxDataset([made_study("a", boxes=[1, 2], fractured=True)], neighbours=False)
    one, other = data.batch(np.array([1, 2]), (5,)), data.batch(np.array([2]), (5,))
    assert (one.images[1] == other.images[0]).all()
    assert (one.boxes[1] == other.boxes[0]).all()
    assert not (one.boxes[1] == data.batch(np.array([2])).boxes[0]).all()


class CutError(Exception):
    pass


def test_a_run_leaves_a_bundle_and_goes_on_to_the_same_weights(phantom_root, store, tmp_path):
    def cut(done, total):
        if done == 2:
            raise CutError

    whole = config(phantom_root)
    train(whole, tmp_path / "whole", store=store)
    with pytest.raises(CutError):
        train(whole, tmp_path / "cut", store=store, progress=cut)
    train(whole, tmp_path / "cut", store=store, resume=True)
    bundles = [read_bundle(tmp_path / name / "bundle") for name in ("whole", "cut")]
    assert bundles[0].config.weights_sha256 == bundles[1].config.weights_sha256
    found = bundles[0].config
    assert found.task == "localization"
    assert found.preparation == SlicePreparation(size=64, field_mm=120, channels="neighbours")
    assert found.anchors is not None
    assert [len(level) for level in found.anchors] == [3, 3, 3]
    load_localizer(bundles[0])
    run = RunFolder(tmp_path / "whole")
    assert run.read_status().state == "finished"
    assert (run.folder / "provenance.json").is_file()


def test_a_run_asked_to_stop_ends_after_the_step_it_is_in_and_loses_none(
    phantom_root, store, tmp_path
):
    def ask(done, total):
        assert total > 1
        signal.raise_signal(signal.SIGTERM)

    made = config(phantom_root, checkpoint_every_s=1e9)
    with pytest.raises(KeyboardInterrupt):
        train(made, tmp_path / "run", store=store, progress=ask)
    status = RunFolder(tmp_path / "run").read_status()
    assert (status.state, status.step) == ("stopped", 1)
    counted = []

    def once(done, total):
        counted.append(done)
        raise CutError

    with pytest.raises(CutError):
        train(made, tmp_path / "run", store=store, resume=True, progress=once)
    assert counted == [2]


def test_a_localisers_run_stops_early_too(phantom_root, store, tmp_path):
    made = config(
        phantom_root, epochs=20, early_stopping=True, early_stopping_every=1,
        early_stopping_patience=1, early_stopping_delta=100.0,
    )  # fmt: skip
    seen = []
    train(made, tmp_path / "run", store=store, progress=lambda *tick: seen.append(tick))
    # The first window always counts as a fall, so patience runs out with the second.
    assert seen[-1][0] == 2 < seen[-1][1]


def test_a_checkpoint_from_before_early_stopping_is_gone_on_with(phantom_root, store, tmp_path):
    made = config(phantom_root, early_stopping=True)

    def cut(done, total):
        if done == 2:
            raise CutError

    with pytest.raises(CutError):
        train(made, tmp_path / "run", store=store, progress=cut)
    checkpoint = RunFolder(tmp_path / "run").checkpoint_file
    content = torch.load(checkpoint, weights_only=True)  # noqa: TID251 - the run's own
    torch.save(content | {"stopping": None}, checkpoint)
    train(made, tmp_path / "run", store=store, resume=True)
    assert RunFolder(tmp_path / "run").read_status().state == "finished"


def test_a_checkpoint_with_the_unused_block_is_gone_on_with(phantom_root, store, tmp_path):
    """Older localisers had a block of the pyramid that nothing used and no gradient reached."""
    made = config(phantom_root)

    def cut(done, total):
        if done == 2:
            raise CutError

    train(made, tmp_path / "whole", store=store)
    with pytest.raises(CutError):
        train(made, tmp_path / "run", store=store, progress=cut)
    checkpoint = RunFolder(tmp_path / "run").checkpoint_file
    content = torch.load(checkpoint, weights_only=True)  # noqa: TID251 - the run's own
    torch.save(content | with_unused_block(content), checkpoint)
    train(made, tmp_path / "run", store=store, resume=True)
    whole, parts = (read_bundle(tmp_path / name / "bundle") for name in ("whole", "run"))
    assert whole.config.weights_sha256 == parts.config.weights_sha256


def with_unused_block(content):
    """Model and optimizer as an older version saved them."""
    last = "detector.backbone.fpn.layer_blocks.2.0.bias"
    model = {}
    for name, tensor in content["model"].items():
        model[name] = tensor
        if name == last:
            model |= {
                "detector.backbone.fpn.layer_blocks.3.0.weight": torch.ones(64, 64, 3, 3),
                "detector.backbone.fpn.layer_blocks.3.0.bias": torch.ones(64),
            }
    trained = [name for name in content["model"] if not name.endswith(
        ("running_mean", "running_var", "num_batches_tracked"))]  # fmt: skip
    place = trained.index(last) + 1
    state, (group,) = content["optimizer"]["state"], content["optimizer"]["param_groups"]
    assert len(state) == len(trained)
    later = {k if k < place else k + 2: one for k, one in state.items()}
    groups = [group | {"params": list(range(len(trained) + 2))}]
    return {"model": model, "optimizer": {"state": later, "param_groups": groups}}


def test_the_held_out_fold_is_measured(phantom_root, store, tmp_path):
    boxed = [r.study_id for r in read_studies(phantom_root) if r.boxes]
    assert boxed
    made = config(phantom_root, fold=0, folds=2, epochs=1, seed=_seed_with_both(phantom_root))
    train(made, tmp_path / "run", store=store)
    lines = [
        json.loads(line)
        for line in RunFolder(tmp_path / "run").metrics_file.read_text().splitlines()
    ]
    (measured,) = [line for line in lines if line["event"] == "validation"]
    assert measured["boxed_slices"] > 0
    assert 0 <= measured["mean_iou"] <= 1


def _seed_with_both(root):
    """A seed whose folds both hold a boxed study."""
    from core.dataset.splits import assign_folds

    records = read_studies(root)
    for seed in range(50):
        folds = assign_folds(records, 2, seed)
        if {folds[r.study_id] for r in records if r.boxes} == {0, 1}:
            return seed
    pytest.skip("the small cohort has one boxed study only")


def test_a_cohort_without_boxes_names_the_missing_table(phantom_root, store, tmp_path, monkeypatch):
    from core.training import start_up

    intact = [
        replace(record, boxes=(), fractured=(False,) * 7) for record in read_studies(phantom_root)
    ]
    monkeypatch.setattr(start_up, "studies_of", lambda *_: intact)
    with pytest.raises(TrainingError, match=r"no box for training; add train_bounding_boxes\.csv"):
        train(config(phantom_root), tmp_path / "run", store=store)


def test_configs_that_no_localiser_takes_are_refused(phantom_root):
    with pytest.raises(ValidationError, match="mobilenet_v3_large or resnet50"):
        config(phantom_root, backbone="googlenet")
    with pytest.raises(ValidationError, match="grey or neighbours"):
        config(phantom_root, channels="windows")
