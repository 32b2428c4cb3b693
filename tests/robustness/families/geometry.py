"""Series with every kind of place in the patient, sound and unsound.

The oracle is the arithmetic of DICOM PS3.3 C.7.6.2.1.1 on the numbers the case was made from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.dicom.series import read_series
from core.types import CTVolume
from tests.core.dicom.dicom_factory import made_hu, write_ct_series
from tests.robustness.verdicts import SEED, Family, Verdict, judged


@dataclass(slots=True)
class Stack:
    """The numbers of a case.

    Attributes:
        row, column: Unit vectors along a row and along a column.
        positions: Place of each slice's first pixel, LPS mm, float64 (n, 3).
        spacing: Between rows, between columns.
        hu: int16 (n, rows, cols), in the order of `positions`.
        names: File of each slice.
        edit: Changes a data set just before it is written.
    """

    row: NDArray[np.float64]
    column: NDArray[np.float64]
    positions: NDArray[np.float64]
    spacing: tuple[float, float]
    hu: NDArray[np.int16]
    names: list[str]
    edit: Callable[[Any, int], None] | None = None


def _stack(
    rng: np.random.Generator,
    n: int = 5,
    axes: tuple = ((1, 0, 0), (0, 1, 0)),
    step: float | None = None,
) -> Stack:
    row, column = (np.array(axis, np.float64) for axis in axes)
    rows, columns = (int(edge) for edge in rng.integers(4, 20, 2))
    normal = np.cross(row, column)
    step = float(rng.uniform(0.3, 5)) if step is None else step
    origin = rng.uniform(-300, 300, 3)
    return Stack(
        row, column,
        np.round(origin + np.arange(n)[:, None] * step * normal, 4),
        (round(float(rng.uniform(0.2, 1.5)), 4), round(float(rng.uniform(0.2, 1.5)), 4)),
        made_hu(n, rows, columns, seed=int(rng.integers(1 << 30))),
        [f"{k + 1}.dcm" for k in range(n)],
    )  # fmt: skip


def _axial(rng: np.random.Generator) -> Stack:
    return _stack(rng, n=int(rng.integers(2, 9)))


def _named_at_random(rng: np.random.Generator) -> Stack:
    stack = _stack(rng)
    stack.names = [f"{name}.dcm" for name in rng.permutation(5)]
    return stack


def _shuffled(rng: np.random.Generator) -> Stack:
    stack = _stack(rng, n=7)
    order = rng.permutation(7)
    stack.positions, stack.hu = stack.positions[order], stack.hu[order]
    return stack


def _rotated(rng: np.random.Generator) -> Stack:
    """Turned about the body's axis, and slightly about the others."""
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_euler("zxy", [rng.uniform(-180, 180), *rng.uniform(-20, 20, 2)], True)
    axes = turn.as_matrix()
    return _stack(rng, axes=(tuple(axes[:, 0]), tuple(axes[:, 1])))


def _sagittal(rng: np.random.Generator) -> Stack:
    return _stack(rng, axes=((0, 1, 0), (0, 0, -1)))


def _coronal(rng: np.random.Generator) -> Stack:
    return _stack(rng, axes=((1, 0, 0), (0, 0, -1)))


def _flipped(rng: np.random.Generator) -> Stack:
    """Feet first, prone: rows and columns run the other way."""
    return _stack(rng, axes=((-1, 0, 0), (0, 1, 0)))


def _one_slice(rng: np.random.Generator) -> Stack:
    return _stack(rng, n=1)


def _far_away(rng: np.random.Generator) -> Stack:
    stack = _stack(rng)
    stack.positions += 90_000.0
    return stack


SOUND: Final = (
    _axial, _named_at_random, _shuffled, _rotated, _sagittal, _coronal, _flipped, _one_slice,
    _far_away,
)  # fmt: skip


def _set(keyword: str, value: Any, slices: tuple[int, ...] | None = (2,)) -> Callable:
    def edit(dataset: Any, index: int) -> None:
        if slices is not None and index not in slices:
            return
        if value is None:
            delattr(dataset, keyword)
            return
        element = dataset[keyword]
        # As raw text: pydicom would refuse to hold some of these.
        element._value = value

    return edit


EDITS: Final = {
    "position gone": _set("ImagePositionPatient", None),
    "position of two": _set("ImagePositionPatient", [1.0, 2.0]),
    "orientation gone": _set("ImageOrientationPatient", None),
    "orientation nought": _set("ImageOrientationPatient", [0.0] * 6, None),
    "orientation skewed": _set("ImageOrientationPatient", [1, 0, 0, 0.7, 0.7, 0], None),
    "orientation of another": _set("ImageOrientationPatient", [0, 1, 0, 0, 0, -1]),
    "spacing gone": _set("PixelSpacing", None),
    "spacing of another": _set("PixelSpacing", [0.9, 0.9]),
    "spacing nought": _set("PixelSpacing", [0.0, 0.5], None),
    "spacing negative": _set("PixelSpacing", [-0.5, 0.5], None),
    "spacing absurd": _set("PixelSpacing", [1e9, 0.5], None),
    "all gone": _set("ImagePositionPatient", None, None),
    "same place": _set("ImagePositionPatient", [0.0, 0.0, 0.0], None),
    "far position": _set("ImagePositionPatient", [0.0, 0.0, 1e30]),
}
TEXTS: Final = ("NaN", "inf", "-inf", "1e400", "abc", "0x10", "1,5", "")


def play(number: int, place: Path) -> Verdict:
    rng = np.random.default_rng([SEED, 2, number])
    kind = number % 20
    if kind < len(SOUND):
        make = SOUND[kind]
        return judged(make.__name__[1:], lambda: _judge_sound(make(rng), place))
    if kind == len(SOUND):
        return judged("repeated positions", lambda: _judge_repeats(rng, place))
    if kind == len(SOUND) + 1:
        return judged("gap", lambda: _judge_gap(rng, place))
    if kind == len(SOUND) + 2:
        text = TEXTS[number // 20 % len(TEXTS)]
        return judged(f"position {text!r}", lambda: _judge_text(rng, place, text))
    name = list(EDITS)[(number // 20 * 7 + kind) % len(EDITS)]
    return judged(name, lambda: _judge_edit(rng, place, EDITS[name]))


def _write(stack: Stack, place: Path) -> Path:
    def edit(dataset: Any, index: int) -> None:
        dataset.ImagePositionPatient = [f"{v:.10g}" for v in stack.positions[index]]
        if stack.edit is not None:
            stack.edit(dataset, index)

    orientation = (*stack.row, *stack.column)
    spacing = (1.0, *stack.spacing)
    write_ct_series(
        place / "s", stack.hu, spacing_mm=spacing, orientation=orientation, names=stack.names,
        edit=edit,
    )  # fmt: skip
    return place / "s"


def _judge_sound(stack: Stack, place: Path) -> Verdict:
    volume = read_series(_write(stack, place), jobs=1)
    return Verdict("read") if (wrong := _wrong(stack, volume)) == "" else Verdict("silent", wrong)


def _wrong(stack: Stack, volume: CTVolume) -> str:
    """Look every written pixel up in the volume by its place in the patient."""
    if volume.hu.size != stack.hu.size:
        return "number of voxels"
    k, y, x = np.indices(stack.hu.shape).reshape(3, -1)
    at = stack.positions[k] + np.outer(x * stack.spacing[1], stack.row)
    at += np.outer(y * stack.spacing[0], stack.column)
    index = (at - volume.affine[:3, 3]) @ np.linalg.inv(volume.affine[:3, :3]).T
    nearest = np.rint(index).astype(int)
    off = np.abs((index - nearest) @ volume.affine[:3, :3].T).max()
    if off > 0.01:
        return f"a voxel is off by {off:.3f} mm"
    if (nearest < 0).any() or (nearest >= volume.hu.shape).any():
        return "a voxel lies outside"
    if not np.array_equal(volume.hu[tuple(nearest.T)], stack.hu.ravel()):
        return "voxels or their order"
    down, back, left = volume.affine[2, 0], volume.affine[1, 1], volume.affine[0, 2]
    return "" if down < 0 < min(back, left) else "not in the usual orientation"


def _judge_repeats(rng: np.random.Generator, place: Path) -> Verdict:
    stack = _stack(rng, n=6)
    stack.positions = np.repeat(stack.positions[:3], 2, axis=0)
    volume = read_series(_write(stack, place), jobs=1)
    if volume.n_slices != 3 or not any("repeat" in note for note in volume.notes):
        return Verdict("silent", f"{volume.n_slices} slices, notes {volume.notes}")
    return Verdict("noted")


def _judge_gap(rng: np.random.Generator, place: Path) -> Verdict:
    stack = _stack(rng, n=6, step=1.0)
    stack.positions[4:, 2] += float(rng.uniform(2, 30))
    volume = read_series(_write(stack, place), jobs=1)
    right = np.allclose(np.sort(volume.z_mm), np.sort(stack.positions[:, 2]), atol=1e-3)
    noted = any("uneven" in note for note in volume.notes)
    return Verdict("noted") if right and noted else Verdict("silent", str(volume.notes))


def _judge_text(rng: np.random.Generator, place: Path, text: str) -> Verdict:
    """ImagePositionPatient of one slice holds text that is no number."""
    stack = _stack(rng)
    folder = _write(stack, place)
    path = folder / "3.dcm"
    raw = path.read_bytes()
    start = raw.index(b"\x20\x00\x32\x00DS") + 8
    size = int.from_bytes(raw[start - 2 : start], "little")
    path.write_bytes(
        raw[:start] + f"{text}\\1\\2".encode().ljust(size)[:size] + raw[start + size :]
    )
    volume = read_series(folder, jobs=1)
    return Verdict("silent", f"position {text!r} was read as {volume.z_mm}")


def _judge_edit(rng: np.random.Generator, place: Path, edit: Callable) -> Verdict:
    stack = _stack(rng)
    folder = _write(stack, place / "whole")
    whole = read_series(folder, jobs=1)
    stack.edit = edit
    volume = read_series(_write(stack, place / "edited"), jobs=1)
    more = set(volume.notes) - set(whole.notes)
    return Verdict("noted", "; ".join(more)) if more else Verdict("silent", "no note")


FAMILY: Final = Family("geometry", 200, 7, play)
