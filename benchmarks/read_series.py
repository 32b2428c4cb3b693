"""Read a 300-slice series of 512 x 512: `read_series` against a loop over pydicom's `pixel_array`.

The loop reads the files in name order and stacks the stored values; it neither sorts, nor rescales
to HU, nor checks anything. `read_series` does all of that. Both start with the files in the page
cache, take turns, and the medians are compared. JPEG Lossless needs one of pydicom's decoding
plugins (python-gdcm, or pylibjpeg with pylibjpeg-libjpeg); without one its row is left out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels.decoders.base import get_decoder
from scipy.ndimage import gaussian_filter

from benchmarks.timing import figure, medians, print_figures
from core.dicom.series import read_series
from tests.core.dicom.dicom_factory import SYNTAXES, write_ct_series

TARGETS: Final = {"explicit": 2.0, "jpeg-lossless": 3.0}
EXTRA: Final = ("jpeg-ls",)
"""Measured without a target."""


def ct_like(slices: int, edge: int) -> NDArray[np.int16]:
    """Return int16 HU, (z, y, x): a smooth body with the noise of a scan, so it packs like CT."""
    rng = np.random.default_rng(0)
    body = gaussian_filter(rng.normal(size=(edge, edge)), 8) * 20_000
    planes = (np.roll(body, k, axis=0) + rng.normal(size=body.shape) * 15 for k in range(slices))
    return np.stack([np.clip(plane, -1024, 3000).astype(np.int16) for plane in planes])


def pydicom_loop(files: list[Path]) -> NDArray[Any]:
    """Return the stored values of `files`, (z, y, x)."""
    return np.stack([pydicom.dcmread(path).pixel_array for path in files])


def compare(folder: Path, files: list[Path], hu: NDArray[np.int16], repeats: int) -> list[float]:
    """Return the median seconds of read_series, of it on one thread, and of the pydicom loop."""
    if not np.array_equal(read_series(folder).hu, hu):
        raise SystemExit("read_series does not give back what was written.")
    if not np.array_equal(pydicom_loop(files).astype(np.int32) - 1024, hu):
        raise SystemExit("pydicom does not give back what was written.")
    return medians(
        lambda: read_series(folder),
        lambda: read_series(folder, jobs=1),
        lambda: pydicom_loop(files),
        repeats=repeats,
    )


def main() -> None:
    """Measure every syntax and print the figures, a JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    hu = ct_like(arguments.slices, 512)
    figures: list[dict[str, Any]] = []
    for syntax in (*TARGETS, *EXTRA):
        uid = SYNTAXES[syntax]
        if uid.is_encapsulated and not get_decoder(uid).is_available:
            print(f"{syntax}: left out, pydicom has no decoder for it here", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            files = write_ct_series(folder, hu, syntax=syntax, bits_stored=12)
            ours, single, peer = compare(folder, files, hu, arguments.repeats)
        plugin = get_decoder(uid).available_plugins[0] if uid.is_encapsulated else "native"
        print(
            f"{syntax}: read_series {ours:.3f} s ({single:.3f} s on one thread), "
            f"pydicom pixel_array loop ({plugin}) {peer:.3f} s, ratio {peer / ours:.2f}"
        )
        name, against = (
            f"read {arguments.slices} slices, {syntax}",
            f"pydicom pixel_array loop ({plugin})",
        )
        figures.append(figure(name, against, peer / ours, TARGETS.get(syntax)))
    print_figures(*figures)


if __name__ == "__main__":
    main()
