"""What became of one case, in words that are counted."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.errors import CSpineError

GOOD: Final = {
    "refused": "a typed error of one sentence",
    "read": "read, and equal to the reference",
    "noted": "read, and what is odd stands in the notes",
    "hash": "read otherwise than before, and the index's hash names the file",
}
BAD: Final = {
    "silent": "read wrongly without a word",
    "crash": "an untyped error or a dead process",
    "hang": "longer than ten seconds of processor time, or stuck",
    "memory": "peak memory of 1 GiB or more",
    "escaped": "bytes outside the target folder",
    "executed": "code from the file ran",
}
SEED: Final = 20221027
HANG_SECONDS: Final = 10.0
PEAK_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a case: a key of `GOOD` or `BAD`, and what helps to repeat it."""

    kind: str
    detail: str = ""

    @property
    def bad(self) -> bool:
        return self.kind not in GOOD


@dataclass(frozen=True, slots=True)
class Family:
    """Cases of one kind; case `number` is the same at every run.

    Attributes:
        name: In the table.
        cases: How many there are.
        stride: Every so many belong to the quick subset.
        play: Makes case `number` in an empty folder and judges what the program does with it.
        prepare: Imports and makes what the cases share; not timed.
    """

    name: str
    cases: int
    stride: int
    play: Callable[[int, Path], Verdict]
    prepare: Callable[[], object] = tuple

    @property
    def quick(self) -> range:
        """The numbers of the quick subset."""
        return range(0, self.cases, self.stride)


def judged(label: str, act: Callable[[], Verdict]) -> Verdict:
    """Run a case; a typed error is a refusal if it is one plain sentence, all else a crash."""
    try:
        verdict = act()
    except CSpineError as error:
        words = str(error)
        if "\n" in words or len(words) > 600 or not words.endswith("."):
            return Verdict("crash", f"{label}: not one sentence: {words[:200]!r}")
        return Verdict("refused", f"{label}: {type(error).__name__}")
    except BaseException as error:  # noqa: BLE001 - one codec raises a BaseException
        frames = traceback.extract_tb(error.__traceback__)
        where = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in frames[:-4:-1])
        return Verdict("crash", f"{label}: {type(error).__name__}: {str(error)[:120]} at {where}")
    return Verdict(verdict.kind, f"{label}: {verdict.detail}" if verdict.detail else label)
