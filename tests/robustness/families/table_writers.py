"""One table in every way that spreadsheets and scripts write it, and text in our own tables.

The oracle is the values that the table was made from.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.constants import VERTEBRAE
from core.dataset.label_table import read_boxes, read_labels
from core.evaluation.tables.outside_scores import read_outside_scores
from core.evaluation.tables.truth import truth_from_csv
from core.system.csv_text import plain_cell, table_csv
from tests.robustness.verdicts import SEED, Family, Verdict, judged

Rows = list[list[str]]
ID_NAMES: Final = ("StudyInstanceUID", "uid", "study_id", "Study Instance UID", " STUDYINSTANCEUID")
OVERALL_NAMES: Final = ("patient_overall", "Overall", "Patient Overall", "PATIENT_OVERALL ")
TRUE: Final = ("1", "1.0", "True", "TRUE", "true", "yes")
FALSE: Final = ("0", "0.0", "False", "FALSE", "false", "no")


def _uids(rng: np.random.Generator, n: int) -> list[str]:
    return [f"1.2.826.{k}.{int(rng.integers(1, 1 << 30))}" for k in range(n)]


def _padded(text: str, rng: np.random.Generator) -> str:
    return str(rng.choice([text, f" {text}", f"{text} ", f"\u00a0{text}"]))


def _written(rows: Rows, rng: np.random.Generator, *, decimals: bool) -> bytes:
    """Write rows, the heading first, as some program would."""
    separator = str(rng.choice([",", ";", "\t"]))
    comma = decimals and separator != "," and rng.random() < 0.5
    end = str(rng.choice(["\n", "\r\n", "\r"]))
    quoting = int(rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=separator, lineterminator=end, quoting=quoting)
    for k, row in enumerate(rows):
        cells = row if k == 0 or not comma else [row[0], *(c.replace(".", ",") for c in row[1:])]
        writer.writerow([_padded(cell, rng) for cell in cells])
        if rng.random() < 0.1:
            stream.write(end)
    text = stream.getvalue()
    if rng.random() < 0.1:
        text = f"sep={separator}{end}{text}"
    if rng.random() < 0.2:
        text = text.removesuffix(end)
    return text.encode(str(rng.choice(["utf-8", "utf-8-sig", "utf-16"])))


def _shuffled(rows: Rows, rng: np.random.Generator) -> Rows:
    """Put columns into another order, and one more among them."""
    note = [["note"], *([str(rng.choice(["", "x", "a, b", "Größe"]))] for _ in rows[1:])]
    wide = [[*row, *more] for row, more in zip(rows, note, strict=True)]
    # The first column keeps the id: a decimal comma must not reach it.
    order = [0, *(1 + rng.permutation(len(wide[0]) - 1)).tolist()]
    return [[row[k] for k in order] for row in wide]


def _labels(rng: np.random.Generator, place: Path) -> Verdict:
    ids = _uids(rng, int(rng.integers(1, 6)))
    flags = rng.random((len(ids), 7)) < 0.3
    overall = rng.random() < 0.7
    true, false = str(rng.choice(TRUE)), str(rng.choice(FALSE))
    heading = [str(rng.choice(ID_NAMES)), *VERTEBRAE]
    rows = [
        [name, *(true if f else false for f in row)] for name, row in zip(ids, flags, strict=True)
    ]
    if overall:
        heading.append(str(rng.choice(OVERALL_NAMES)))
        for row, own in zip(rows, flags, strict=True):
            row.append(true if own.any() else false)
    file = place / "train.csv"
    file.write_bytes(_written(_shuffled([heading, *rows], rng), rng, decimals=False))
    found = read_labels(file)
    alone = {study.study_id: study.fractured.tolist() for study in truth_from_csv(file)}
    expected = dict(zip(ids, flags.tolist(), strict=True))
    if found is None or found[1] or alone != expected:
        return Verdict("silent", "labels")
    table = found[0].set_index("study_id")
    same = table[list(VERTEBRAE)].to_numpy().tolist() == flags.tolist()
    return Verdict("read" if same and list(table.index) == ids else "silent", "labels")


def _boxes(rng: np.random.Generator, place: Path) -> Verdict:
    ids = _uids(rng, int(rng.integers(1, 6)))
    values = np.round(rng.uniform(0.5, 300, (len(ids), 4)), 2)
    numbers = rng.integers(0, 900, len(ids))
    heading = [str(rng.choice(ID_NAMES)), "x", "Y", "width", "Height", "Slice Number"]
    rows = [
        [name, *(f"{v:.2f}" for v in row), str(k)]
        for name, row, k in zip(ids, values.tolist(), numbers.tolist(), strict=True)
    ]
    file = place / "boxes.csv"
    file.write_bytes(_written(_shuffled([heading, *rows], rng), rng, decimals=True))
    found = read_boxes(file)
    if found is None or found[1]:
        return Verdict("silent", "boxes")
    edges = found[0][["left", "top", "right", "bottom"]].to_numpy(np.float64)
    expected = np.column_stack([values[:, :2], values[:, :2] + values[:, 2:]])
    same = found[0]["study_id"].tolist() == ids and np.allclose(edges, expected)
    same = same and found[0]["slice_number"].tolist() == numbers.tolist()
    return Verdict("read" if same else "silent", "boxes")


def _scores(rng: np.random.Generator, place: Path) -> Verdict:
    ids = sorted(_uids(rng, int(rng.integers(1, 6))))
    scores = np.round(rng.random((len(ids), 7)), 4)
    patient = np.round(rng.random(len(ids)), 4) if rng.random() < 0.6 else None
    if rng.random() < 0.5:
        heading = [str(rng.choice(ID_NAMES)), *VERTEBRAE]
        rows = [[name, *map(str, row)] for name, row in zip(ids, scores.tolist(), strict=True)]
        if patient is not None:
            heading.append(str(rng.choice(OVERALL_NAMES)))
            rows = [[*row, str(p)] for row, p in zip(rows, patient.tolist(), strict=True)]
    else:
        heading, rows = ["Row_ID", "fractured"], []
        for k, name in enumerate(ids):
            rows += [[f"{name}_{v}", str(s)] for v, s in zip(VERTEBRAE, scores[k], strict=True)]
            rows += [] if patient is None else [[f"{name}_patient_overall", str(patient[k])]]
        rng.shuffle(rows)
    file = place / "scores.csv"
    file.write_bytes(_written(_shuffled([heading, *rows], rng), rng, decimals=True))
    found = read_outside_scores(file)
    whole = 1 - np.prod(1 - scores, axis=1) if patient is None else patient
    same = (
        found.table.study_ids.tolist() == ids
        and np.allclose(found.table.vertebra_scores, scores)
        and np.allclose(found.table.patient_scores, whole)
        and (patient is not None or len(found.notes) == 1)
    )
    return Verdict("read" if same else "silent", "scores")


ALPHABET: Final = (*"=+-@\t\r\n'\";, aZ0é＝", "=cmd|' /C calc'!A0", "-1.5", "1e5", "\u2028")


def _own_table(rng: np.random.Generator, _place: Path) -> Verdict:
    """Text of any kind through our writer; numbers must come back as they are."""
    texts = ["".join(rng.choice(ALPHABET, int(rng.integers(0, 6)))) for _ in range(8)]
    numbers: list[Any] = [float(rng.normal()), int(rng.integers(-9, 9)), -0.0, None]
    stream = io.StringIO(table_csv(["a"] * 12, [[*texts, *numbers]]), newline="")
    cells = list(csv.reader(stream))[1]
    for text, cell in zip(texts, cells, strict=False):
        first = cell.lstrip()[:1] or cell[:1]
        run = first in tuple("=+-@＝") or cell[:1] in tuple("\t\r\n")
        if run and not _is_number(cell):
            return Verdict("silent", f"{cell!r} is a formula")
        # A cell that began with an apostrophe or `="` of its own may lose it.
        if plain_cell(cell) != text and not text.startswith(("'", '="')):
            return Verdict("silent", f"{text!r} came back as {cell!r}")
    same = [float(cell) for cell in cells[8:11]] == [float(n) for n in numbers[:3]]
    return Verdict("read" if same and cells[11] == "" else "silent", "numbers")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell == cell.strip()


KINDS: Final[tuple[Callable[[np.random.Generator, Path], Verdict], ...]] = (
    _labels, _boxes, _scores, _own_table,
)  # fmt: skip


def play(number: int, place: Path) -> Verdict:
    rng = np.random.default_rng([SEED, 10, number])
    return judged(f"case {number}", lambda: KINDS[number % len(KINDS)](rng, place))


FAMILY: Final = Family("tables as written", 400, 10, play)
