"""Bundles and resume files that hold code, are cut off, or hold other numbers than they should."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import pickle
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.robustness.verdicts import SEED, Family, Verdict, judged

SIZE: Final = 32
CODE_RAN: Final = Path(tempfile.gettempdir()) / "fuzz-code-ran"
"""A file that the planted code would make."""


class Malicious:
    """Unpickling it makes `CODE_RAN`."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (CODE_RAN,)


class Shell(Malicious):
    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, (f"touch {CODE_RAN}",)


class Evaluated(Malicious):
    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (f"open({str(CODE_RAN)!r}, 'w').close()",)


class Executed(Malicious):
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"open({str(CODE_RAN)!r}, 'w').close()",)


@functools.cache
def bundle() -> Path:
    """A sound bundle of random weights."""
    import torch

    from core.models.bundles import UNSAVED_SHA256, BundleConfig
    from core.models.checkpoint import save_bundle
    from core.models.registry import build_model

    torch.manual_seed(0)
    folder = Path(tempfile.mkdtemp(prefix="fuzz-bundle-")) / "made"
    config = BundleConfig(
        name="made", task="vertebra", type=1, backbone="mobilenet_v3_large", size=SIZE, crop=1.0,
        window_center=400, window_width=1800, weights_sha256=UNSAVED_SHA256, parameters=1,
        trained_on={"synthetic": True}, created="2026-01-01T00:00:00Z",
    )  # fmt: skip
    save_bundle(folder, build_model("vertebra", 1, config.backbone), config)
    return folder


def new_state() -> Any:
    """The state of a run of a small model, as it starts."""
    import torch
    from lightning_fabric.plugins import Precision

    from core.training.state import TrainingState

    torch.manual_seed(1)
    model = torch.nn.Linear(6, 4)
    optimizer = torch.optim.Adam(model.parameters())
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=10)
    return TrainingState(model, optimizer, scheduler, Precision())


@functools.cache
def resume_file() -> bytes:
    """The content of a sound resume file."""
    from core.training.state import save_training_state

    path = Path(tempfile.mkdtemp(prefix="fuzz-resume-")) / "last.ckpt"
    save_training_state(path, new_state())
    return path.read_bytes()


def _header_of(raw: bytes) -> tuple[dict[str, Any], bytes]:
    (size,) = struct.unpack_from("<Q", raw)
    return json.loads(raw[8 : 8 + size]), raw[8 + size :]


def _with_header(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    """Rewrite the header of a safetensors file."""

    def altered(raw: bytes) -> bytes:
        header, data = _header_of(raw)
        change(header)
        packed = json.dumps(header).encode()
        return struct.pack("<Q", len(packed)) + packed + data

    return altered


def _first(header: dict[str, Any]) -> dict[str, Any]:
    """A tensor that has axes."""
    return next(
        entry for name, entry in header.items() if name != "__metadata__" and entry["shape"]
    )


def _filled(value: float) -> Callable[[bytes], bytes]:
    """Give one tensor a value that is no weight."""

    def altered(raw: bytes) -> bytes:
        from safetensors.torch import load, save

        state = load(raw)
        name = next(n for n in sorted(state) if state[n].is_floating_point())
        state[name] = state[name].float().fill_(value).to(state[name].dtype)
        return save(state)

    return altered


def _other_model(raw: bytes) -> bytes:
    from safetensors.torch import load, save

    return save({name: tensor for name, tensor in list(load(raw).items())[::2]})


PICKLES: Final = (Malicious, Shell, Evaluated, Executed)
WEIGHTS: Final[dict[str, Callable[[bytes], bytes]]] = {
    **{f"pickle of {kind.__name__}, protocol {p}": functools.partial(
        lambda raw, kind, p: pickle.dumps(kind(), protocol=p), kind=kind, p=p)
       for kind in PICKLES for p in (0, 2, 5)},
    "header of 2^60 bytes": lambda raw: struct.pack("<Q", 1 << 60) + raw[8:],
    "header of 2 GiB": lambda raw: struct.pack("<Q", 1 << 31) + raw[8:],
    "header of nought bytes": lambda raw: struct.pack("<Q", 0) + raw[8:],
    "header is a list": lambda raw: struct.pack("<Q", 2) + b"[]" + raw[8:],
    "shape of 2^40": _with_header(lambda h: _first(h).update(shape=[1 << 40])),
    "negative shape": _with_header(lambda h: _first(h).update(shape=[-1])),
    "unknown dtype": _with_header(lambda h: _first(h).update(dtype="OBJECT")),
    "offsets beyond": _with_header(lambda h: _first(h).update(data_offsets=[0, 1 << 40])),
    "offsets turned round": _with_header(lambda h: _first(h).update(data_offsets=[64, 0])),
    "wrong shapes": _with_header(lambda h: _first(h).update(shape=[1, *_first(h)["shape"]])),
    "NaN": _filled(float("nan")), "infinite": _filled(float("inf")),
    "minus infinite": _filled(float("-inf")),
    "half of the tensors": _other_model,
    "empty": lambda raw: b"",
    "a zip": lambda raw: _zip_of_pickle(Shell()),
}  # fmt: skip
CONFIGS: Final[dict[str, Any]] = {
    "size": 10**9, "task": "__import__", "backbone": "../../etc", "type": 9, "parameters": -1,
    "crop": float("nan"), "window_width": 0, "trained_on": [], "name": None,
    "weights_sha256": "x", "unknown": 1, "anchors": [[[1e9]]], "noise_clusters": 10**6,
}  # fmt: skip


def _zip_of_pickle(planted: object) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(planted))
        archive.writestr("archive/version", "3")
    return stream.getvalue()


def _saved(change: Callable[[dict[str, Any]], Any]) -> bytes:
    """The resume file with something changed, saved as torch saves it."""
    import torch

    content = torch.load(  # noqa: TID251 - a file this test has written
        io.BytesIO(resume_file()), weights_only=True
    )
    changed = change(content)
    stream = io.BytesIO()
    torch.save(content if changed is None else changed, stream)
    return stream.getvalue()


def _drop(key: str) -> Callable[[], bytes]:
    def change(content: dict[str, Any]) -> None:
        del content[key]

    return lambda: _saved(change)


def _set(key: str, value: Any) -> Callable[[], bytes]:
    return lambda: _saved(lambda content: content.update({key: value}))


def _weights(change: Callable[[Any], Any]) -> Callable[[], bytes]:
    def altered(content: dict[str, Any]) -> None:
        content["model"]["weight"] = change(content["model"]["weight"])

    return lambda: _saved(altered)


STATES: Final[dict[str, Callable[[], bytes]]] = {
    **{f"a {kind.__name__} as {where}": functools.partial(
        lambda kind, where: _saved(lambda content: content.update({where: kind()})),
        kind=kind, where=where)
       for kind in PICKLES for where in ("model", "recent_losses", "planted")},
    **{f"a bare pickle of {kind.__name__}": functools.partial(lambda k: pickle.dumps(k()), kind)
       for kind in PICKLES},
    "a zip of a pickle": lambda: _zip_of_pickle(Evaluated()),
    **{f"without {key}": _drop(key) for key in ("model", "optimizer", "scheduler", "step",
                                                "rng_cpu", "rng_cuda", "finished")},
    **{f"{key} is {value!r}": _set(key, value) for key, value in (
        ("model", 3), ("optimizer", {}), ("scheduler", []), ("rng_cpu", None), ("step", "x"),
        ("epoch", -5), ("recent_losses", "abc"), ("rng_cuda", 1), ("optimizer", None),
        ("batch", None))},
    "a list": lambda: _saved(lambda content: [content]),
    "wrong shape": _weights(lambda weight: weight[:, :3]),
    "NaN weights": _weights(lambda weight: weight * float("nan")),
    "text as weights": _weights(lambda weight: "weights"),
    "nothing": lambda: b"",
}  # fmt: skip
_FIXED: Final = len(WEIGHTS) + len(CONFIGS) + len(STATES)


def play(number: int, place: Path) -> Verdict:
    CODE_RAN.unlink(missing_ok=True)
    verdict = _play(number, place)
    if CODE_RAN.exists():
        CODE_RAN.unlink()
        return Verdict("executed", verdict.detail)
    return verdict


def _play(number: int, place: Path) -> Verdict:
    if number < len(WEIGHTS):
        name = list(WEIGHTS)[number]
        return judged(name, lambda: _load_bundle(place, WEIGHTS[name](_sound_weights())))
    number -= len(WEIGHTS)
    if number < len(CONFIGS):
        key = list(CONFIGS)[number]
        return judged(f"config {key}", lambda: _load_bundle(place, None, {key: CONFIGS[key]}))
    number -= len(CONFIGS)
    if number < len(STATES):
        name = list(STATES)[number]
        return judged(name, lambda: _resume(place, STATES[name]()))
    rng = np.random.default_rng([SEED, 6, number])
    if number % 2:
        raw = _sound_weights()
        cut = int(rng.integers(0, len(raw)))
        return judged(f"bundle cut at {cut}", lambda: _load_bundle(place, raw[:cut]))
    raw = resume_file()
    cut = int(rng.integers(0, len(raw)))
    return judged(f"resume file cut at {cut}", lambda: _resume(place, raw[:cut]))


def _sound_weights() -> bytes:
    return (bundle() / "model.safetensors").read_bytes()


def _load_bundle(
    place: Path, weights: bytes | None, config: dict[str, Any] | None = None
) -> Verdict:
    """Load a bundle whose config states the digest of the weights, as an attacker would."""
    import torch

    from core.models.bundles import read_bundle
    from core.models.checkpoint import load_model

    weights = _sound_weights() if weights is None else weights
    (place / "model.safetensors").write_bytes(weights)
    described = json.loads((bundle() / "config.json").read_text())
    described["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    (place / "config.json").write_text(json.dumps(described | (config or {})))
    model = load_model(read_bundle(place))
    with torch.inference_mode():
        answer = model(torch.zeros((1, SIZE, SIZE), dtype=torch.uint8))
    finite = all(bool(torch.isfinite(part).all()) for part in _parts(answer))
    return Verdict("silent", "it loads" if finite else "it loads and answers NaN")


def _parts(answer: Any) -> list[Any]:
    return list(answer) if isinstance(answer, tuple) else [answer]


def _resume(place: Path, content: bytes) -> Verdict:
    import torch

    from core.training.state import load_training_state

    path = place / "last.ckpt"
    path.write_bytes(content)
    state = new_state()
    load_training_state(path, state)
    finite = all(bool(torch.isfinite(weight).all()) for weight in state.model.parameters())
    return Verdict("silent", "it resumes" if finite else "it resumes from NaN")


def _prepare() -> None:
    """Import torch and make the sound files."""
    bundle()
    resume_file()


FAMILY: Final = Family("checkpoints", 150, 5, play, _prepare)
