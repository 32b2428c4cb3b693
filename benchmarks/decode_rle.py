"""Unpack RLE frames of 512 x 512: `codestream.decode` against pydicom's own RLE decoder.

Both get the same encapsulated frames, take turns on one thread, and the medians are compared; they
must give the same stored values. pydicom's plugins are left out: its own decoder is what a reader
has without them.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder

from benchmarks.read_series import ct_like
from benchmarks.timing import figure, medians, print_figures
from core.dicom.codestream import decode, joined_fragments
from tests.core.dicom.dicom_factory import write_ct_series

EDGE: Final = 512


def ours(files: Sequence[Dataset]) -> list[NDArray[Any]]:
    """The stored values of each frame, by this program."""
    frames = [joined_fragments(one.PixelData) for one in files]
    return [
        decode(frame, uid.RLELossless, rows=EDGE, columns=EDGE, bits_allocated=16).stored
        for frame in frames
    ]


def peer(files: Sequence[Dataset]) -> list[NDArray[Any]]:
    """The same by pydicom's own decoder."""
    decoder = get_decoder(uid.RLELossless)
    return [decoder.as_array(one, decoding_plugin="pydicom", raw=True)[0] for one in files]


def main() -> None:
    """Measure and print the figures, a JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        hu = ct_like(arguments.slices, EDGE)
        paths = write_ct_series(Path(name), hu, syntax="rle", bits_stored=12)
        files = [pydicom.dcmread(path) for path in paths]
    if not np.array_equal(np.stack(ours(files)), np.stack(peer(files))):
        raise SystemExit("The two decoders differ.")
    own, other = medians(lambda: ours(files), lambda: peer(files), repeats=arguments.repeats)
    each = 1000 / arguments.slices
    print(
        f"{arguments.slices} frames of {EDGE} x {EDGE}: ours {own * each:.2f} ms per frame, "
        f"pydicom {other * each:.2f} ms"
    )
    print_figures(
        figure(f"unpack RLE, {EDGE} x {EDGE}, one thread", "pydicom's own decoder", other / own)
    )


if __name__ == "__main__":
    main()
