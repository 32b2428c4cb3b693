"""CSV tables and YAML configs that are damaged, hostile or simply not what they say."""

from __future__ import annotations

import codecs
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from core.config import load_run_config
from core.constants import VERTEBRAE
from core.dataset.rsna import read_data_set
from core.evaluation.tables.outside_scores import read_outside_scores
from core.evaluation.tables.truth import truth_from_csv
from tests.robustness.verdicts import SEED, Family, Verdict, judged

UIDS: Final = ("1.2.826.0.1.91", "1.2.826.0.1.92", "1.2.826.0.1.93")
LABELS: Final = (
    "StudyInstanceUID,patient_overall," + ",".join(VERTEBRAE) + "\n"
    f"{UIDS[0]},1,0,0,0,0,1,0,0\n{UIDS[1]},0,0,0,0,0,0,0,0\n{UIDS[2]},1,1,0,0,0,0,0,1\n"
)
BOXES: Final = (
    "StudyInstanceUID,x,y,width,height,slice_number\n"
    f"{UIDS[0]},10,12,20,28,1\n{UIDS[2]},1.5,2.5,8,9,1\n"
)
SCORES: Final = (
    "uid,Overall," + ",".join(VERTEBRAE) + "\n"
    f"{UIDS[0]},0.9,0.1,0,0,0,0.9,0,0\n{UIDS[1]},0.1,0,0,0,0,0,0,0.1\n"
)
COMPETITION: Final = "row_id,fractured\n" + "".join(
    f"{uid}_{kind},0.25\n" for uid in UIDS for kind in ("patient_overall", *VERTEBRAE)
)

Change = Callable[[str, np.random.Generator], bytes]


def _cell(value: str) -> Change:
    """One cell, never of the heading, becomes something else."""

    def change(text: str, rng: np.random.Generator) -> bytes:
        lines = text.splitlines()
        row = int(rng.integers(1, len(lines)))
        cells = lines[row].split(",")
        cells[int(rng.integers(0, len(cells)))] = value
        lines[row] = ",".join(cells)
        return ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")

    return change


def _bytes(text: str, rng: np.random.Generator) -> bytes:
    raw = bytearray(text.encode())
    for place in rng.integers(0, len(raw), int(rng.integers(1, 9))):
        raw[place] = int(rng.integers(0, 256))
    return bytes(raw)


def _column_gone(text: str, rng: np.random.Generator) -> bytes:
    column = int(rng.integers(0, text.splitlines()[0].count(",") + 1))
    rows = [line.split(",") for line in text.splitlines()]
    return "\n".join(",".join(r[:column] + r[column + 1 :]) for r in rows).encode()


def _column_twice(text: str, _rng: np.random.Generator) -> bytes:
    return "\n".join(f"{row},{row.split(',')[1]}" for row in text.splitlines()).encode()


CHANGES: Final[dict[str, Change]] = {
    "bytes": _bytes, "cut off": lambda t, r: t[: int(r.integers(0, len(t)))].encode(),
    "empty": lambda t, r: b"", "only noughts": lambda t, r: bytes(4096),
    "heading only": lambda t, r: t.splitlines()[0].encode(),
    "UTF-16": lambda t, r: t.encode("utf-16"),
    "byte-order mark": lambda t, r: b"\xef\xbb\xbf" + t.encode(),
    "column gone": _column_gone,
    "column twice": _column_twice,
    "semicolons": lambda t, r: t.replace(",", ";").encode(),
    "open quote": lambda t, r: t.replace(",", ',"', 1).encode(),
    "quote in a row": lambda t, r: (t + '"' + "x" * 200_000).encode(),
    "carriage returns": lambda t, r: t.replace("\n", "\r").encode(),
    "rows twice": lambda t, r: (t + "\n".join(t.splitlines()[1:])).encode(),
    "a row of 100,000 cells": lambda t, r: (t + "1," * 100_000).encode(),
    "a cell of 2 MiB": _cell("9" * (2 << 20)),
    **{f"cell {value[:12]!r}": _cell(value) for value in (
        "", "NaN", "inf", "-inf", "-1", "2", "1e400", "0.5", "yes", "=cmd|' /C calc'!A0", "1\0",
        "\ud800", "..", "1" * 400, " 1 ", "+1", "0x1", "١", "null")},
}  # fmt: skip
READERS: Final = ("train.csv", "boxes", "wide scores", "competition scores")

BILLION: Final = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + k)}: &{chr(98 + k)} [{','.join(f'*{chr(97 + k)}' for _ in range(9))}]\n"
    for k in range(9)
)
CONFIG: Final = (
    "task: fracture\ntype: 3\nbackbone: densenet121\ndata_root: /data\nsize: 128\nfold: 1\n"
)
SWEEP: Final = (
    "base:\n  task: fracture\n  data_root: /data\n"
    "space:\n  max_lr: {low: 1.0e-5, high: 1.0e-3, log: true}\n"
    # The documents below end with one more key of the outermost level.
    "metric: auc\n"
)


def _more(lines: str) -> Change:
    """The same with something after it."""
    return lambda text, _rng: (text + lines).encode()


DOCUMENTS: Final[dict[str, Change]] = {
    "bytes": _bytes, "cut off": lambda t, r: t[: int(r.integers(0, len(t)))].encode(),
    "python object": _more("seed: !!python/object/apply:os.system ['exit 1']\n"),
    "python name": _more("seed: !!python/name:os.system\n"),
    "billion laughs": lambda t, r: (BILLION + t).encode(),
    "billion laughs as a value": lambda t, r: (BILLION + t + "seed: *j\n").encode(),
    "endless alias": _more("seed: &s [*s]\n"),
    "10,000 deep": _more("seed: " + "[" * 10_000),
    "10,000 deep, closed": _more("seed: " + "[" * 10_000 + "]" * 10_000),
    "deep maps": _more("seed: " + "{a: " * 5_000 + "1" + "}" * 5_000),
    "a list": lambda t, r: b"- 1\n- 2\n", "a number": lambda t, r: b"3\n",
    "empty": lambda t, r: b"",
    "two documents": lambda t, r: (t + "---\n" + t).encode(),
    "tabs": lambda t, r: t.replace(" ", "\t").encode(),
    "number keys": _more("1: 2\n"), "null key": _more("~: 2\n"),
    "list key": _more("[1, 2]: 3\n"),
    "merge of nothing": _more("<<: 3\n"),
    "bad date": _more("seed: 2026-13-45\n"),
    "bad time": _more("seed: 2026-01-01 99:99:99\n"),
    "a number of 100,000 digits": _more("seed: " + "9" * 100_000 + "\n"),
    "sixty": _more("seed: 190:20:30\n"),
    "binary": _more("seed: !!binary '%%%'\n"),
    "surrogates": _more('seed: "\\ud800"\n'),
    "NUL path": lambda t, r: t.replace("/data", '"/da\\0ta"').encode(),
    "not a number": _more("alpha: .nan\n"),
    "infinite": _more("alpha: .inf\n"),
    "UTF-16": lambda t, r: t.encode("utf-16"), "latin": lambda t, r: t.encode() + b"\xe9: 1\n",
    "unknown key": _more("sizes: 3\n"),
    "negative": _more("seed: -1\n"),
}  # fmt: skip


def play_csv(number: int, place: Path) -> Verdict:
    reader = READERS[number % len(READERS)]
    name = list(CHANGES)[number // len(READERS) % len(CHANGES)]
    rng = np.random.default_rng([SEED, 7, number])
    text = dict(zip(READERS, (LABELS, BOXES, SCORES, COMPETITION), strict=True))[reader]
    content = CHANGES[name](text, rng)
    return judged(
        f"{reader}: {name}", lambda: _judge_csv(reader, content, content == text.encode(), place)
    )


def _judge_csv(reader: str, content: bytes, same: bool, place: Path) -> Verdict:
    if reader.endswith("scores"):
        (place / "scores.csv").write_bytes(content)
        scores = read_outside_scores(place / "scores.csv")
        patient = np.asarray(scores.table.patient_scores, np.float64)
        sound = np.isfinite(patient).all() and ((patient >= 0) & (patient <= 1)).all()
        return Verdict("read" if sound else "silent", f"{len(patient)} studies")
    for uid in UIDS:
        (place / "train_images" / uid).mkdir(parents=True)
    (place / "train.csv").write_bytes(content if reader == "train.csv" else LABELS.encode())
    if reader == "boxes":
        (place / "train_bounding_boxes.csv").write_bytes(content)
    found = read_data_set(place)
    if reader == "train.csv":
        truth_from_csv(place / "train.csv")
    edges = found.boxes[["left", "top", "right", "bottom"]].to_numpy(np.float64)
    if not np.isfinite(edges).all() or (edges[:, 2:] <= edges[:, :2]).any():
        return Verdict("silent", "a box has no size")
    # A table without rows is a table; every row there is must be read or named.
    lines = content.decode("utf-16") if content.startswith(codecs.BOM_UTF16_LE) else content
    rows = len(lines.splitlines()) if len(content) else 1
    labels = min(rows - 1, len(UIDS)) if reader == "train.csv" else len(UIDS)
    boxes = rows - 1 if reader == "boxes" else 0
    if same or (len(found.labels) >= labels and len(found.boxes) >= boxes):
        return Verdict("read")
    return Verdict("noted") if found.problems else Verdict("silent", "a row is lost")


def play_yaml(number: int, place: Path) -> Verdict:
    sweep = number % 2 == 1
    name = list(DOCUMENTS)[number // 2 % len(DOCUMENTS)]
    rng = np.random.default_rng([SEED, 8, number])
    path = place / "config.yaml"
    path.write_bytes(DOCUMENTS[name](SWEEP if sweep else CONFIG, rng))

    def act() -> Verdict:
        if sweep:
            from core.experiments.sweep_config import load_sweep_config

            load_sweep_config(path)
            return Verdict("read")
        config = load_run_config(path)
        how = config.preparation
        finite = np.isfinite([config.alpha, how.window_center, how.window_width]).all()
        return Verdict("read") if finite else Verdict("silent", "a value is not finite")

    return judged(f"{'sweep' if sweep else 'run'}: {name}", act)


CSV: Final = Family("CSV tables", 160, 4, play_csv)


def _prepare() -> None:
    """Import what the family uses."""
    importlib.import_module("core.experiments.sweep_config")


YAML: Final = Family("YAML configs", 80, 3, play_yaml, _prepare)
