"""From HU to 256 px for a network: `slices_for_network` against float64 numpy and scipy's zoom.

The peer is the textbook's three lines, slice by slice: scale the window to 0..255 in float64, clip,
`scipy.ndimage.zoom`. Its order is 1 (linear), the cheapest that fits; zoom's own default, the
cubic spline of order 3, is timed as well without a target. Both take 512 x 512 int16 slices,
take turns on one thread, and the medians are compared. The results must agree but for the way of
shrinking: ours is the mean of each new pixel's area, the peer's samples points.
"""

from __future__ import annotations

import argparse
import functools
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from benchmarks.timing import figure, medians, print_figures
from core.config import SlicePreparation
from core.preprocessing.network_input import slices_for_network
from core.types import HuWindow

TARGET: Final = 6.0
BONE: Final = HuWindow(400, 1800)
LARGEST_MEAN_DIFFERENCE: Final = 1.0
"""Grey levels, of `smooth_slices`; on noise an area's mean and a sample differ by far more."""


def smooth_slices(count: int, edge: int) -> NDArray[np.int16]:
    """Return int16 HU, (count, edge, edge): soft shapes, so that the ways of shrinking agree."""
    rng = np.random.default_rng(0)
    shapes = gaussian_filter(rng.normal(size=(edge, edge)), edge / 32) * edge * 60
    planes = [np.roll(shapes, 3 * k, axis=1) + 400 for k in range(count)]
    return np.stack(planes).clip(-1024, 3000).astype(np.int16)


def by_numpy_and_scipy(
    hu: NDArray[np.int16], window: HuWindow, size: int, order: int
) -> NDArray[np.uint8]:
    """Return uint8 (n, size, size) of int16 HU (n, h, w)."""
    prepared: list[NDArray[np.uint8]] = []
    for plane in hu:
        grey = np.clip((plane.astype(np.float64) - window.lower) / window.width, 0, 1) * 255
        shrunk: NDArray[np.float64] = np.asarray(
            zoom(grey, size / len(plane), order=order, grid_mode=True, mode="nearest")
        )
        prepared.append(np.clip(np.rint(shrunk), 0, 255).astype(np.uint8))
    return np.stack(prepared)


def main() -> None:
    """Measure and print the figures, a JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=64)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    hu = smooth_slices(arguments.slices, 512)
    ours = functools.partial(slices_for_network, hu, SlicePreparation(size=arguments.size))
    linear, cubic = (
        functools.partial(by_numpy_and_scipy, hu, BONE, arguments.size, order) for order in (1, 3)
    )
    difference = float(np.abs(ours().astype(np.float64) - linear()).mean())
    if difference > LARGEST_MEAN_DIFFERENCE:
        raise SystemExit(f"The two results differ by {difference:.1f} grey levels on average.")
    own, peer, spline = medians(ours, linear, cubic, repeats=arguments.repeats)
    each = 1000 / arguments.slices
    print(
        f"{arguments.slices} slices of 512 x 512 to {arguments.size}: ours {own * each:.2f} ms per "
        f"slice, linear zoom {peer * each:.2f} ms, cubic zoom {spline * each:.2f} ms; mean "
        f"difference {difference:.2f} grey levels"
    )
    name = f"HU to window to {arguments.size} px, one thread"
    print_figures(
        figure(name, "float64 numpy + scipy zoom, linear", peer / own, TARGET),
        figure(name, "float64 numpy + scipy zoom, cubic (its default)", spline / own),
    )


if __name__ == "__main__":
    main()
