"""Stored values become HU, and HU become grey levels, as a float64 reference says."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from core.dicom.series import read_series
from core.preprocessing.intensity import window_to_uint8
from core.types import HuWindow
from tests.core.dicom.dicom_factory import SYNTAXES, stored_values, write_ct_series
from tests.robustness.verdicts import SEED, Family, Verdict, judged

SLOPES: Final = (1.0, 1.0, 0.5, 2.0, 0.0078125, 1.7, -1.0, 12.25)
INTERCEPTS: Final = (-1024.0, 0.0, -1000.0, -8192.0, 0.25, -1024.5, 31000.0)
BITS: Final = (16, 12, 14, 15, 10)


def play(number: int, place: Path) -> Verdict:
    rng = np.random.default_rng([SEED, 3, number])
    syntax = list(SYNTAXES)[number % len(SYNTAXES)]
    bits = BITS[number % len(BITS)]
    form = {
        "slope": float(rng.choice(SLOPES)),
        "intercept": float(rng.choice(INTERCEPTS)),
        "bits_stored": bits,
        # A JPEG 2000 stream carries a sign of its own, which the factory writes at 16 bits only.
        "signed": bool(rng.integers(2)) and (syntax != "jpeg2000" or bits == 16),
    }
    inverted = bool(rng.integers(4) == 0)
    label = f"{syntax} {form} {'inverted' if inverted else ''}"
    return judged(label, lambda: _judge(rng, place, syntax, inverted, form))


def _judge(
    rng: np.random.Generator, place: Path, syntax: str, inverted: bool, form: dict
) -> Verdict:
    low = -(1 << (form["bits_stored"] - 1)) if form["signed"] else 0
    raw = rng.integers(low, low + (1 << form["bits_stored"]), (2, 9, 11))
    reference = raw.astype(np.float64) * form["slope"] + form["intercept"]
    # What the factory is to store is drawn first; it gets the HU that lead there.
    asked = np.clip(np.rint(reference), -32768, 32767).astype(np.int16)
    kept = stored_values(asked, **form).astype(np.float64)
    expected = np.clip(np.rint(kept * form["slope"] + form["intercept"]), -32768, 32767)
    photometric = "MONOCHROME1" if inverted else "MONOCHROME2"
    write_ct_series(place / "s", asked, syntax=syntax, photometric=photometric, **form)
    volume = read_series(place / "s", jobs=1)
    if not np.array_equal(volume.hu.astype(np.float64), expected):
        worst = np.abs(volume.hu - expected).max()
        return Verdict("silent", f"HU differ by up to {worst:g}")
    window = HuWindow(float(rng.uniform(-500, 1500)), float(rng.uniform(1, 4000)))
    lower = window.center - window.width / 2
    grey = np.clip((volume.hu.astype(np.float64) - lower) / window.width, 0, 1) * 255
    # A grey level that lies half-way may be rounded either way by the last bit of float64.
    if np.abs(window_to_uint8(volume.hu, window) - grey).max() > 0.5 + 1e-9:
        return Verdict("silent", f"grey levels differ in {window}")
    return Verdict("read")


FAMILY: Final = Family("intensity", 100, 5, play)
