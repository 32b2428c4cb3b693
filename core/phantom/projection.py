"""A small parallel-beam projector: line integrals of slices, and filtered back projection.

It runs at low resolution, to simulate artefacts (hardening, starvation, metal), not to reconstruct
the image itself.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import sparse

from core.phantom.sdf import Field


class Projector:
    """Projects square slices of `size` pixels at `angles` directions over 180 degrees."""

    def __init__(self, size: int, angles: int) -> None:
        self.size, self.angles = size, angles
        self._matrix, self._transposed = _system(size, angles)

    def project(self, slices: Field, pixel_mm: float) -> Field:
        """Line integrals of float32 (n, size, size) in its unit times mm; (n, angles, size)."""
        sums = self._matrix @ slices.reshape(len(slices), -1).T.astype(np.float32)
        shape = (len(slices), self.angles, self.size)
        return np.ascontiguousarray(sums.T).reshape(shape) * np.float32(pixel_mm)

    def smear(self, sinogram: Field) -> Field:
        """Mean over the angles of the rays through each pixel, (n, size, size)."""
        flat = sinogram.reshape(len(sinogram), -1).T.astype(np.float32)
        image = np.ascontiguousarray((self._transposed @ flat).T) / np.float32(self.angles)
        return image.reshape(len(sinogram), self.size, self.size)

    def reconstruct(self, sinogram: Field, pixel_mm: float) -> Field:
        """Filtered back projection, the inverse of `project` (Kak & Slaney 1988, chapter 3)."""
        length = 2 * self.size
        steps = np.minimum(np.arange(length), length - np.arange(length))
        odd = steps % 2 == 1
        ramp = np.zeros(length)
        ramp[odd] = -1 / (np.pi * steps[odd]) ** 2
        ramp[0] = 0.25
        spectrum = np.fft.rfft(sinogram, length, axis=2) * np.fft.rfft(ramp / pixel_mm)
        filtered = np.fft.irfft(spectrum, length, axis=2)[:, :, : self.size]
        return np.float32(np.pi) * self.smear(filtered.astype(np.float32))


@lru_cache(maxsize=4)
def projector(size: int, angles: int) -> Projector:
    """Return the projector of that size, made once per process."""
    return Projector(size, angles)


def _system(size: int, angles: int) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Weights of pixel (y, x) in ray (angle, bin), and their transpose; linear interpolation."""
    theta = np.arange(angles) * (np.pi / angles)
    axis = np.arange(size) - (size - 1) / 2
    t = axis[None, None, :] * np.cos(theta)[:, None, None]
    t = t + axis[None, :, None] * np.sin(theta)[:, None, None] + (size - 1) / 2
    low = np.floor(t).astype(np.int32)
    rows = np.arange(angles, dtype=np.int32)[:, None, None] * size + low
    pixels = np.broadcast_to(np.arange(size * size, dtype=np.int32).reshape(1, size, size), t.shape)
    parts = []
    for shift, weight in ((0, 1 - (t - low)), (1, t - low)):
        inside = (low + shift >= 0) & (low + shift < size)
        parts.append((weight[inside], (rows + shift)[inside], pixels[inside]))
    weights, rays, columns = (np.concatenate(part) for part in zip(*parts, strict=True))
    shape = (angles * size, size * size)
    matrix = sparse.csr_matrix((weights.astype(np.float32), (rays, columns)), shape=shape)
    return matrix, matrix.T.tocsr()
