"""Whatever a run config allows, a run trains or is refused in one sentence."""

from __future__ import annotations

import contextlib
import itertools
import re
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types as limits
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from torch import nn

from core.config import RunConfig
from core.errors import ConfigError, CSpineError
from core.models import registry
from core.models.backbone_table import BACKBONES, check_batch, check_input_size
from core.models.backbones import build_backbone
from core.training.trainer import train
from tests.core.training.made_data_root import write_data_root
from tests.stores import made_store

pytestmark = pytest.mark.training

STEPS = 2
"""Batches of a run before it is stopped."""
CHOSEN: dict[str, st.SearchStrategy[Any]] = {
    "annotations": st.none(),
    "init_from": st.none(),
    "vertebra_bundle": st.none(),
    "pretrained": st.just(False),
    "device": st.sampled_from(["auto", "cpu"]),
    "epochs": st.sampled_from([1, 2, 1_000_000]),
    "folds": st.sampled_from([2, 2, 2, 3, 10**9]),
    "fold": st.sampled_from([0, 0, 1, None, "all"]),
    # Larger slices only take longer to prepare.
    "size": st.sampled_from([32, 33, 48]),
}
"""Fields that are not drawn from their bounds."""


class Tiny(nn.Module):
    """Convolution and batch norm as in a real network, in a millisecond."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.head = nn.Linear(4, outputs)

    def freeze_backbone(self):
        self.layers.requires_grad_(requires_grad=False)

    def forward(self, images, metadata=None, presence=None):
        grey = images.float().flatten(1, -3).mean(1, keepdim=True) if images.ndim == 4 else images
        return self.head(self.layers(grey.float().reshape(len(images), 1, *images.shape[-2:])))

    @property
    def output_layers(self):
        return (self.head,)


OUTPUTS = {1: 1, 2: 7, 3: 14}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Train a config for two batches; what it raises, or None."""
    place = tmp_path_factory.mktemp("any")
    root = write_data_root(place / "root", studies=4, slices=10)
    boxes = [f"1.2.{study},18,10,12,10,{k}" for study in (2, 4) for k in (3, 4, 5)]
    header = "StudyInstanceUID,x,y,width,height,slice_number"
    (root / "train_bounding_boxes.csv").write_text("\n".join([header, *boxes]) + "\n")
    store, number = made_store(place / "cache"), itertools.count()

    def stop(done: int, _total: int) -> None:
        if done >= STEPS:
            raise KeyboardInterrupt

    def made(values: dict[str, Any]) -> BaseException | None:
        try:
            config = RunConfig(**values | {"data_root": root})
            train(config, place / f"run{next(number)}", store=store, progress=stop)
        except (CSpineError, ValidationError, KeyboardInterrupt) as error:
            return error
        return None

    with pytest.MonkeyPatch.context() as patch:
        for task, type_ in registry.MODELS:
            outputs = 7 if task == "vertebra" else OUTPUTS[type_]
            patch.setitem(
                registry.MODELS, (task, type_), lambda *_, n=outputs, **__: Tiny(n)
            )  # fmt: skip
        yield made


def drawn(key: str, info: FieldInfo) -> st.SearchStrategy[Any]:
    """Any value within a field's bounds, near the lower one as often as not."""
    if key in CHOSEN:
        return CHOSEN[key]
    annotation = info.annotation
    several = get_origin(annotation) in (Union, types.UnionType)
    kinds = get_args(annotation) if several else (annotation,)
    return st.one_of([of_kind(kind, info) for kind in kinds])


def of_kind(kind: Any, info: FieldInfo) -> st.SearchStrategy[Any]:
    if kind is bool:
        return st.booleans()
    if kind is type(None):
        return st.none()
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    low, high, open_low, open_high = bounds(info)
    if kind is int:
        last = None if high is None else high - open_high
        near = low + 3 if last is None else min(last, low + 3)
        return st.integers(low, near) | st.integers(low, last)
    assert kind is float, f"no values are known for {kind}"
    return st.floats(
        low, high, exclude_min=open_low, exclude_max=open_high, allow_nan=False,
        allow_infinity=False,
    )  # fmt: skip


def bounds(info: FieldInfo) -> tuple[Any, Any, bool, bool]:
    rules = info.metadata
    low = next((r.ge if isinstance(r, limits.Ge) else r.gt for r in rules
                if isinstance(r, limits.Ge | limits.Gt)), None)  # fmt: skip
    high = next((r.le if isinstance(r, limits.Le) else r.lt for r in rules
                 if isinstance(r, limits.Le | limits.Lt)), None)  # fmt: skip
    return (
        low, high, any(isinstance(r, limits.Gt) for r in rules),
        any(isinstance(r, limits.Lt) for r in rules),
    )  # fmt: skip


def configs(*tasks: str) -> st.SearchStrategy[dict[str, Any]]:
    fields = RunConfig.file_fields().items()
    free = {key: drawn(key, info) for key, info in fields if key not in ("task", "data_root")}
    # What is not drawn is what the small data root needs to be split at all.
    fixed = {"task": st.sampled_from(tasks), "folds": free.pop("folds")}
    return st.fixed_dictionaries(fixed, optional=free)


def sentence(error: BaseException) -> bool:
    return bool(re.fullmatch(r"[^\n]{10,500}\.", str(error)))


@settings(
    max_examples=15, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(values=configs("vertebra", "fracture"))
@example(values={"task": "vertebra", "folds": 2, "batch_size": 1, "size": 33})
@example(values={"task": "vertebra", "folds": 2, "batch_size": 1, "size": 32})
@example(values={"task": "fracture", "folds": 2, "seed": 2**32 - 1, "weight_decay": 1e3})
@example(values={"task": "fracture", "folds": 2, "max_lr": 1e3, "alpha": 1e6})
@example(values={"task": "fracture", "folds": 2, "fold": None, "type": 3, "batch_size": 65_536})
def test_any_slice_network_is_trained_or_refused_in_one_sentence(run, values):
    error = run(values)
    assert not isinstance(error, CSpineError) or sentence(error), error


@pytest.mark.parametrize(
    "values",
    [
        {"batch_size": 1, "size": 32}, {"batch_size": 1, "size": 33}, {"size": 32},
        {"size": 32, "negatives": 1e3, "anchors_per_level": 9}, {"augment": True, "negatives": 0},
        {"channels": "neighbours", "field_mm": 20, "size": 33}, {"precision": "bf16-mixed"},
        {"precision": "16-mixed"},
        {"max_lr": 1e3}, {"weight_decay": 1e3}, {"gradient_clip": 1e300},
    ],
)  # fmt: skip
def test_a_localiser_at_the_ends_of_its_bounds_is_trained_or_refused(run, values):
    error = run({"task": "localization", "folds": 2, "size": 48} | values)
    assert not isinstance(error, CSpineError) or sentence(error), error


@pytest.mark.parametrize(
    "values",
    [
        {"seed": 2**32}, {"weight_decay": 1e39}, {"max_lr": 1e39}, {"negatives": 1e308},
        {"alpha": 1e39}, {"epochs": 10**9}, {"batch_size": 10**9},
    ],
)  # fmt: skip
def test_a_value_that_no_run_can_use_is_refused_by_the_config(run, values):
    assert isinstance(run({"task": "vertebra"} | values), ValidationError)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_batch_of_one_is_refused_exactly_where_batch_norm_cannot_train_on_it(backbone):
    spec = BACKBONES[backbone]
    network = on_meta(backbone)
    for size in {spec.min_size, spec.min_alone - 1, spec.min_alone, spec.min_alone + 1, 128}:
        side = -(-size // spec.multiple) * spec.multiple
        if side < spec.min_size:
            continue
        check_input_size(backbone, side)
        with (
            pytest.raises(ValueError, match="more than 1 value")
            if refused(backbone, side)
            else contextlib.nullcontext()
        ):
            network(torch.zeros(1, 3, side, side, device="meta"))
        check_batch(backbone, side, 2)
        network(torch.zeros(2, 3, side, side, device="meta"))


def refused(backbone: str, size: int) -> bool:
    try:
        check_batch(backbone, size, 1)
    except ConfigError:
        return True
    return False


def on_meta(backbone: str) -> nn.Module:
    """A network without values, which checks shapes alone."""
    return build_backbone(backbone).to("meta").train()


def test_one_slice_a_process_is_refused_before_the_data_are_read(tmp_path, monkeypatch):
    config = RunConfig(task="vertebra", data_root=Path("nowhere"), size=32, batch_size=1)
    with pytest.raises(ConfigError, match=r"batches of one slice at a size of 32 .* `batch_size`"):
        train(config, tmp_path / "run", store=made_store(tmp_path / "cache"))
    assert not (tmp_path / "run").exists()
