import json
import math
import signal
from dataclasses import replace
from typing import get_args

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from core.config import RunConfig, SlicePreparation
from core.constants import TASK_FACTS, TaskName
from core.errors import ConfigError, DataRootError, DeviceError, StorageError, TrainingError
from core.models import registry
from core.models.bundles import read_bundle
from core.models.checkpoint import load_model
from core.training import engine, slice_task
from core.training.runs import RunFolder
from core.training.slice_engine import measure_slices
from core.training.trainer import TRAINING_TASKS, train
from tests.core.training.made_data_root import write_data_root
from tests.stores import made_store

pytestmark = pytest.mark.training


class TinyNetwork(nn.Module):
    """Has what matters to a run: convolution, batch norm, dropout; and trains in milliseconds."""

    def __init__(self, backbone, *, pretrained=False, outputs=7):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 5, stride=4), nn.BatchNorm2d(8), nn.PReLU(), nn.Flatten(),
            nn.Dropout(0.1),
        )  # fmt: skip
        self.head = nn.Sequential(nn.LazyLinear(outputs))
        self.head(self.layers(torch.zeros(2, 1, 32, 32)))

    def forward(self, images, metadata=None, presence=None):
        return self.head(self.layers(images.unsqueeze(1).float() / 255))

    @property
    def output_layers(self):
        return (self.head[0],)


class TinyFracture(TinyNetwork):
    def __init__(self, backbone, *, pretrained=False):
        super().__init__(backbone, outputs=1)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(registry.MODELS, ("vertebra", 1), TinyNetwork)
    monkeypatch.setitem(registry.MODELS, ("fracture", 1), TinyFracture)


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    return write_data_root(tmp_path_factory.mktemp("data") / "root", studies=6, slices=14)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return made_store(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def make(data_root, store, tmp_path):
    """Train with small defaults; give the run's folder."""

    def made(name="run", *, resume=False, progress=None, on_evaluation=None, **changes):
        values = {
            "task": "vertebra", "data_root": data_root, "size": 32, "epochs": 2, "batch_size": 8,
            "folds": 3, "max_lr": 0.01, "device": "cpu", "augment": True,
        }  # fmt: skip
        run_dir = tmp_path / name
        config = RunConfig(**(values | changes))
        train(
            config, run_dir, resume=resume, progress=progress, store=store,
            on_evaluation=on_evaluation,
        )  # fmt: skip
        return RunFolder(run_dir)

    return made


def _metrics(run, event):
    lines = [json.loads(line) for line in run.metrics_file.read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


def _digest(run):
    return read_bundle(run.bundle).config.weights_sha256


@pytest.mark.parametrize("task", ["vertebra", "fracture"])
def test_run_ends_with_a_loadable_bundle_that_records_its_origin(make, task, data_root):
    run = make(task=task, backbone="mobilenet_v3_large", epochs=1)
    bundle = read_bundle(run.bundle)
    assert bundle.config.name == f"{task}_type1_mobilenet_v3_large"
    assert bundle.config.trained_on["synthetic"] is True
    assert bundle.config.trained_on["studies"] == 4
    assert bundle.config.trained_on["run"]["fold"] == 0
    assert bundle.config.trained_on["validation"]["slices"] == 28
    (line,) = _metrics(run, "validation")
    assert sum(map(sum, line["score_counts"].values())) == 28 * (7 if task == "vertebra" else 1)
    assert "score_counts" not in bundle.config.trained_on["validation"]
    assert str(data_root) not in (run.bundle / "config.json").read_text()
    with torch.inference_mode():
        logits = load_model(bundle)(torch.zeros(2, 32, 32, dtype=torch.uint8))
    assert logits.shape == (2, 7 if task == "vertebra" else 1)


def test_a_simple_task_reaches_a_high_auc(make, tiny):
    run = make(epochs=25, augment=False)
    losses = [line["loss"] for line in _metrics(run, "validation")]
    assert losses[-1] < losses[0] / 2
    assert _metrics(run, "validation")[-1]["auc_macro"] > 0.95


def test_same_seed_gives_the_same_weights_and_another_seed_others(make, tiny):
    assert _digest(make("a")) == _digest(make("b"))
    assert _digest(make("c", seed=1)) != _digest(make("a2"))


def test_real_network_is_deterministic_too(make):
    first, second = (make(name, epochs=1, slices_per_study=6) for name in ("a", "b"))
    assert _digest(first) == _digest(second)


class _StopAt:
    """Interrupts as the keyboard does."""

    def __init__(self, step):
        self.step = step

    def __call__(self, done, total):
        if done == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("stopped_at_step", [3, 10], ids=["in epoch 1", "in epoch 2"])
def test_interrupted_and_resumed_run_equals_an_uninterrupted_one(make, tiny, stopped_at_step):
    options = {"epochs": 3, "early_stopping": True, "early_stopping_every": 4}
    whole = make("whole", **options)
    with pytest.raises(KeyboardInterrupt):
        make("parts", progress=_StopAt(stopped_at_step), **options)
    parts = RunFolder(whole.folder.parent / "parts")
    assert parts.read_status().state == "stopped"
    parts = make("parts", resume=True, **options)
    assert _digest(parts) == _digest(whole)
    assert parts.read_status().state == "finished"
    for event in ("step", "validation"):
        one, other = _metrics(whole, event), _metrics(parts, event)
        assert [line["step"] for line in one] == [line["step"] for line in other]
        assert one[-1]["loss"] == other[-1]["loss"]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_run_asked_to_stop_ends_after_the_step_it_is_in_and_loses_none(make, tiny, name):
    whole = make("whole")

    def ask(done, total):
        if done == 3:
            signal.raise_signal(getattr(signal, name))

    with pytest.raises(KeyboardInterrupt):
        make("parts", progress=ask)
    parts = RunFolder(whole.folder.parent / "parts")
    status = parts.read_status()
    assert (status.state, status.step) == ("stopped", 3)
    first = []
    make("parts", resume=True, progress=lambda done, total: first.append(done))
    assert first[0] == 4
    assert _digest(parts) == _digest(whole)


def test_a_second_request_to_stop_does_not_wait(make, tiny):
    def ask_twice(done, total):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("the second request waited")

    with pytest.raises(KeyboardInterrupt):
        make(progress=ask_twice)


def test_resuming_a_finished_run_writes_the_same_bundle_again(make, tiny):
    run = make()
    before = _digest(run), run.metrics_file.read_text()
    again = make(resume=True)
    assert (_digest(again), again.metrics_file.read_text()) == before


def test_damaged_checkpoint_is_named(make, tiny):
    run = make()
    run.checkpoint_file.write_bytes(b"not a checkpoint")
    with pytest.raises(TrainingError, match=r"last\.ckpt cannot be resumed from"):
        make(resume=True)
    assert run.read_status().state == "failed"


def test_checkpoint_that_would_run_code_is_refused(make, tiny, tmp_path):
    class Malicious:
        def __reduce__(self):
            return (open, (str(tmp_path / "proof"), "w"))

    run = make()
    torch.save({"model": Malicious()}, run.checkpoint_file)
    with pytest.raises(TrainingError, match="cannot be resumed from"):
        make(resume=True)
    assert not (tmp_path / "proof").exists()


def test_progress_counts_every_step_up_to_the_total(make, tiny):
    seen = []
    run = make(progress=lambda done, total: seen.append((done, total)))
    assert seen == [(step, 14) for step in range(1, 15)]
    status = run.read_status()
    assert (status.step, status.total_steps, status.epoch) == (14, 14, 2)


def test_learning_rate_rises_for_three_tenths_and_falls_to_almost_nothing(make, tiny, monkeypatch):
    monkeypatch.setattr("core.training.monitor.LOG_EVERY_STEPS", 1)
    run = make(epochs=4, max_lr=0.01)
    rates = [line["learning_rate"] for line in _metrics(run, "step")]
    assert max(rates) == pytest.approx(0.01, rel=0.02)
    assert rates.index(max(rates)) == pytest.approx(0.3 * len(rates), abs=1.5)
    assert rates[0] == pytest.approx(0.01 / 25)
    assert rates[-1] < 1e-4


@pytest.mark.parametrize("batch_size", [8, 20, 56, 500])
def test_runs_of_very_few_steps_have_a_schedule(make, tiny, batch_size):
    run = make(epochs=1, batch_size=batch_size)
    assert all(math.isfinite(line["learning_rate"]) for line in _metrics(run, "step"))


def test_without_a_fold_everything_is_trained_on_and_nothing_validated(make, tiny):
    run = make(fold=None)
    assert read_bundle(run.bundle).config.trained_on["studies"] == 6
    assert read_bundle(run.bundle).config.trained_on["validation"] is None
    assert _metrics(run, "validation") == []


def test_early_stopping_ends_the_run_before_its_time(make, tiny):
    run = make(
        epochs=10, max_lr=1e-9, early_stopping=True, early_stopping_every=2,
        early_stopping_patience=2, early_stopping_delta=0.5,
    )  # fmt: skip
    assert run.read_status().state == "finished"
    # The first window always counts as a fall, so patience runs out with the third.
    assert _metrics(run, "step")[-1]["step"] == 6
    assert len(_metrics(run, "validation")) == 1
    assert _digest(make(
        resume=True, epochs=10, max_lr=1e-9, early_stopping=True, early_stopping_every=2,
        early_stopping_patience=2, early_stopping_delta=0.5,
    )) == _digest(run)  # fmt: skip


def test_balanced_fracture_run_draws_both_classes_equally(make, tiny, monkeypatch):
    shares = []

    class Spy(slice_task.Batches):
        def __iter__(self):
            if self.drop_last:
                shares.append(self.dataset.targets[self.order].mean())
            return super().__iter__()

    monkeypatch.setattr(slice_task, "Batches", Spy)
    make(task="fracture", balanced=True)
    assert shares == [0.5, 0.5]


def test_a_balanced_bundle_carries_the_cohorts_prior_once_even_when_resumed(make, tiny):
    run = make(task="fracture", balanced=True)
    trained_on = read_bundle(run.bundle).config.trained_on
    assert trained_on["prior_shift_logits"][0] < 0
    before = _digest(run)
    assert _digest(make(task="fracture", balanced=True, resume=True)) == before
    plain = make("plain", task="fracture", balanced=False)
    assert "prior_shift_logits" not in read_bundle(plain.bundle).config.trained_on


def test_mixed_precision_trains(make, tiny):
    run = make(precision="bf16-mixed")
    assert all(math.isfinite(line["loss"]) for line in _metrics(run, "step"))


def test_a_diverging_run_fails_and_its_status_names_the_batch(make, monkeypatch):
    class Diverges(TinyNetwork):
        def forward(self, images, metadata=None, presence=None):
            return super().forward(images) * math.nan

    monkeypatch.setitem(registry.MODELS, ("vertebra", 1), Diverges)
    with pytest.raises(TrainingError, match="batch 1 in epoch 1"):
        make("diverging")


def test_a_gradient_that_may_not_be_skipped_fails_the_run_and_leaves_the_weights(make, monkeypatch):
    monkeypatch.setattr(engine, "SKIPPED_IN_A_ROW", 0)

    class Explodes(TinyNetwork):
        """Its second batch has a finite loss and a gradient beyond every number."""

        seen = 0

        def forward(self, images, metadata=None, presence=None):
            logits = super().forward(images)
            Explodes.seen += 1
            if Explodes.seen == 2:
                logits.register_hook(lambda gradient: gradient * math.inf)
            return logits

    monkeypatch.setitem(registry.MODELS, ("vertebra", 1), Explodes)
    with pytest.raises(TrainingError, match="gradient of batch 2 in epoch 1") as caught:
        make("exploding", checkpoint_every_s=0)
    assert "is kept" in str(caught.value)


def test_a_kept_checkpoint_holds_finite_weights_after_divergence(make, monkeypatch, tmp_path):
    class Diverges(TinyNetwork):
        seen = 0

        def forward(self, images, metadata=None, presence=None):
            Diverges.seen += 1
            return super().forward(images) * (math.nan if Diverges.seen == 4 else 1)

    monkeypatch.setitem(registry.MODELS, ("vertebra", 1), Diverges)
    with pytest.raises(TrainingError, match="batch 4 in epoch 1"):
        make("run", checkpoint_every_s=0)
    monkeypatch.setitem(registry.MODELS, ("vertebra", 1), TinyNetwork)
    run = make("run", resume=True, checkpoint_every_s=0)
    assert [line["loss"] for line in _metrics(run, "step") if not math.isfinite(line["loss"])] == []


def test_an_evaluation_can_end_the_run(make, tiny):
    calls = []

    def after_two(epoch, evaluation):
        calls.append((epoch, evaluation["slices"]))
        return epoch == 2

    run = make(epochs=5, on_evaluation=after_two)
    assert calls == [(1, 28), (2, 28)]
    assert run.read_status().state == "finished"
    assert run.bundle.is_dir()


def test_a_run_knows_its_data_code_and_packages(make, tiny, data_root):
    first, second = make("a"), make("b", seed=3)
    found = [json.loads((run.folder / "provenance.json").read_text()) for run in (first, second)]
    assert found[0] == found[1]
    assert len(found[0]["data_fingerprint"]) == 64
    assert found[0]["packages"]["torch"]
    bundle = read_bundle(first.bundle).config.trained_on
    assert bundle["data_fingerprint"] == found[0]["data_fingerprint"]


def test_tensorboard_reads_the_same_curves(make, tiny):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = make(epochs=2)
    events = EventAccumulator(str(run.folder / "tensorboard")).Reload()
    shown = {(e.step, round(e.value, 5)) for e in events.Scalars("validation/loss")}
    assert shown == {(e["step"], round(e["loss"], 5)) for e in _metrics(run, "validation")}
    assert [e.step for e in events.Scalars("training/loss")] == [
        e["step"] for e in _metrics(run, "step")
    ]


def test_a_disk_that_takes_no_events_does_not_end_the_run(make, tiny, monkeypatch):
    from torch.utils.tensorboard import SummaryWriter

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SummaryWriter, "add_scalar", full)
    run = make(epochs=2)
    assert run.read_status().state == "finished"
    assert run.log_file.read_text().count("TensorBoard events end here: No space left") == 1
    assert len(_metrics(run, "validation")) == 2


def test_the_wait_for_data_is_reported_each_epoch(make, tiny):
    run = make(epochs=2)
    assert [line["epoch"] for line in _metrics(run, "epoch")] == [1, 2]
    assert all(0 <= line["loader_wait_share"] <= 1 for line in _metrics(run, "epoch"))
    assert run.log_file.read_text().count("of the time waiting for data") == 2


def test_one_run_does_not_take_all_folds(make, tiny):
    with pytest.raises(ConfigError, match="--fold all"):
        make(fold="all")


def test_a_full_disk_keeps_the_last_checkpoint(make, tiny, monkeypatch):
    whole = make("whole")
    saved = []
    real = torch.save

    def fills_up(content, path):
        if len(saved) == 5:
            path.write_bytes(b"half a check")
            raise OSError(28, "No space left on device")
        saved.append(path)
        real(content, path)

    monkeypatch.setattr(torch, "save", fills_up)
    with pytest.raises(StorageError):
        make("full", checkpoint_every_s=0)
    monkeypatch.setattr(torch, "save", real)
    # What a write that failed has left is cleared away, and the run goes on from step 5.
    assert _digest(make("full", resume=True, checkpoint_every_s=0)) == _digest(whole)


def test_an_unreadable_study_is_left_out_and_named(make, tiny, tmp_path):
    root = write_data_root(tmp_path / "other", studies=5, slices=7)
    for file in (root / "train_images" / "1.2.3").iterdir():
        file.write_bytes(b"torn")
    run = make(fold=None, data_root=root)
    assert read_bundle(run.bundle).config.trained_on["studies"] == 4
    assert "Study left out: 1.2.3" in run.log_file.read_text()


def test_studies_without_masks_are_not_used_for_presence(make, tiny, tmp_path):
    root = write_data_root(tmp_path / "other", studies=3, slices=7, with_masks=False)
    with pytest.raises(TrainingError, match="no study whose slices have truth"):
        make(data_root=root)


def test_one_class_cannot_be_balanced(make, tiny, tmp_path):
    root = write_data_root(tmp_path / "other", studies=3, slices=7, with_masks=False)
    with pytest.raises(TrainingError, match="one class only"):
        make(data_root=root, task="fracture", balanced=True, fold=None)


def test_too_few_slices_to_train_on_are_refused(make, tiny, tmp_path):
    root = write_data_root(tmp_path / "other", studies=1, slices=1)
    with pytest.raises(TrainingError, match="leaves 1 slices"):
        make(data_root=root, fold=None)


def test_missing_data_root_fails_the_run(make, tmp_path):
    with pytest.raises(DataRootError):
        make(data_root=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("task", "type", "channels"),
    [
        ("vertebra", 2, "windows"),
        ("fracture", 1, "neighbours"),
        ("fracture", 2, "windows"),
        ("fracture", 3, "grey"),
    ],
)
def test_every_type_trains_and_records_its_preparation(make, task, type, channels):
    run = make(task=task, type=type, channels=channels, epochs=1, slices_per_study=2)
    config = read_bundle(run.bundle).config
    assert (config.task, config.type) == (task, type)
    assert config.preparation.channels == channels
    assert math.isfinite(_metrics(run, "validation")[0]["loss"])


def test_workers_do_not_change_the_weights(make, tiny):
    assert _digest(make("alone")) == _digest(make("helped", loader_workers=2))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_device_that_is_not_there_is_named(make):
    with pytest.raises(DeviceError, match="no cuda device"):
        make(device="cuda")


def test_every_task_that_a_config_can_name_has_its_facts_and_its_training():
    assert tuple(TASK_FACTS) == get_args(TaskName) == tuple(TRAINING_TASKS)


@pytest.mark.parametrize("task", get_args(TaskName))
def test_a_task_takes_what_its_facts_list_and_nothing_else(task, data_root):
    facts = TASK_FACTS[task]
    fields = RunConfig.model_fields | SlicePreparation.model_fields
    for key, choices in (
        ("type", facts.types), ("backbone", facts.backbones), ("channels", facts.channels),
    ):  # fmt: skip
        for choice in get_args(fields[key].annotation):
            if choice in choices:
                RunConfig(task=task, data_root=data_root, **{key: choice})
            else:
                with pytest.raises(ValidationError, match=f"set {key} to that"):
                    RunConfig(task=task, data_root=data_root, **{key: choice})


class _Losses:
    """Replaces the loss on the held-out fold after each epoch by the next of a list."""

    def __init__(self, monkeypatch, losses):
        self.left = list(losses)

        def measured(*args, **kwargs):
            return replace(measure_slices(*args, **kwargs), loss=self.left.pop(0))

        monkeypatch.setattr(slice_task, "measure_slices", measured)


def _until(last):
    return lambda epoch, _: epoch == last


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_the_bundle_holds_the_epoch_with_the_lowest_loss(make, tiny, monkeypatch, ema_decay):
    options = {"epochs": 4, "ema_decay": ema_decay}
    _Losses(monkeypatch, [0.5, 0.3, 0.4, 0.3])
    best = make("best", **options)
    _Losses(monkeypatch, [0.5, 0.3])
    second = make("second", keep_epoch="last", on_evaluation=_until(2), **options)
    _Losses(monkeypatch, [0.5, 0.3, 0.4, 0.3])
    last = make("last", keep_epoch="last", **options)
    assert _digest(best) == _digest(second) != _digest(last)
    kept = read_bundle(best.bundle)
    assert kept.metrics["epoch"] == kept.config.trained_on["epoch"] == 2
    assert kept.metrics["validation"]["loss"] == 0.3
    assert read_bundle(last.bundle).metrics["epoch"] == 4


def test_the_best_epoch_survives_a_stop(make, tiny, monkeypatch):
    _Losses(monkeypatch, [0.5, 0.3, 0.4])
    whole = make("whole", epochs=3)
    _Losses(monkeypatch, [0.5, 0.3])
    with pytest.raises(KeyboardInterrupt):
        make("parts", epochs=3, progress=_StopAt(16), checkpoint_every_s=0)
    _Losses(monkeypatch, [0.4])
    parts = make("parts", epochs=3, resume=True, checkpoint_every_s=0)
    assert _digest(parts) == _digest(whole)
    assert read_bundle(parts.bundle).metrics["epoch"] == 2


def test_early_stopping_can_watch_the_held_out_fold(make, tiny, monkeypatch):
    _Losses(monkeypatch, [0.5, 0.4, 0.395, 0.41, 0.1])
    run = make(
        epochs=5, early_stopping=True, early_stopping_loss="validation",
        early_stopping_patience=2,
    )  # fmt: skip
    assert [line["epoch"] for line in _metrics(run, "validation")] == [1, 2, 3, 4]
    assert run.read_status().state == "finished"


@pytest.mark.parametrize("options", [
    {"ema_decay": 0.9}, {"optimizer": "adamw", "weight_decay": 0.1, "backbone_lr_share": 0.5},
    {"accumulate": 2, "augment_on": "device"},
], ids=str)  # fmt: skip
def test_every_way_to_train_resumes_to_the_same_weights(make, tiny, options):
    whole = make("whole", **options)
    with pytest.raises(KeyboardInterrupt):
        make("parts", progress=_StopAt(3), **options)
    assert _digest(make("parts", resume=True, **options)) == _digest(whole)
    assert _digest(whole) != _digest(make("plain"))


def test_a_compiled_network_trains_to_the_same_weights(make, tiny, monkeypatch):
    monkeypatch.setattr("core.training.compilation.BACKEND", "eager")
    compiled = []
    real = nn.Module.compile
    monkeypatch.setattr(
        nn.Module, "compile", lambda self, **how: (compiled.append(how), real(self, **how))
    )
    run = make("compiled", compile_network=True, ema_decay=0.5)
    assert compiled == [{"backend": "eager"}]
    assert _digest(run) == _digest(make("plain", ema_decay=0.5))


def test_a_machine_without_a_compiler_says_so(make, tiny, monkeypatch):
    def lacks_one(graph, inputs):
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr("core.training.compilation.BACKEND", lacks_one)
    with pytest.raises(DeviceError, match="`compile_network: false`"):
        make(compile_network=True)


def test_the_precision_of_a_run_is_written_as_it_was_chosen(make, tiny):
    run = make()
    assert read_bundle(run.bundle).config.trained_on["run"]["precision"] == "32-true"
    assert "precision: 32-true" in run.config_file.read_text()
