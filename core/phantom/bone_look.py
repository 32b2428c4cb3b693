"""How one person's bone differs from place to place: shell, spongy bone and its patches.

Shells are thinnest over the end plates and at the pedicles and vary along the surface (Panjabi et
al. 2001, Spine 26:2478-2484); spongy bone thins with age, its load-bearing trabeculae last (Grote
et al. 1995, Bone 16:301-308).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.phantom.sdf import Field, Points

if TYPE_CHECKING:
    from core.phantom.recipe import BoneMix
    from core.phantom.sizes import VertebraSize


@dataclass(frozen=True, slots=True)
class BoneLook:
    """The look of one person's bones.

    Attributes:
        waves: Relative variation of the shell's thickness along the surface.
        end_plate: Thickness of the shell at end plates and pedicles over that elsewhere.
        grain_hu: Standard deviation of the trabecular texture.
        patches_hu: Standard deviation of patches of spongy bone.
        phases: Nine phases of waves and patches.
    """

    waves: float
    end_plate: float
    grain_hu: float
    patches_hu: float
    phases: tuple[float, ...]

    def thickness(self, points: Points, size: VertebraSize, *, body: bool) -> Field:
        """Factor on the shell's thickness at points (u, a, h) of a vertebra's frame.

        Args:
            points: Coordinates in mm.
            size: Dimensions of the vertebra.
            body: Whether the vertebra has a body with end plates and pedicles.
        """
        factor = 1 + np.float32(self.waves) * _waves(points, 0.5, self.phases[:3])
        if not body:
            return factor
        u, a, h = points
        half = np.float32(size.depth / 2)
        in_body = np.clip((half - a) / np.float32(2), 0, 1)
        flat = np.clip((np.abs(h) - np.float32(size.height / 2 - 3)) / np.float32(1.5), 0, 1)
        across = np.clip(3 - np.abs(np.abs(u) - np.float32(size.width / 2)), 0, 1)
        pedicle = across * np.clip(4 - np.abs(a - half), 0, 1)
        thin = np.maximum(in_body * flat, pedicle)
        return factor * (1 - np.float32(1 - self.end_plate) * thin)

    def brightness(self, points: Points) -> Field:
        """Factor on the shell's HU."""
        return np.float32(0.9) + np.float32(0.16) * _waves(points, 0.31, self.phases[3:6])

    def patches(self, points: Points) -> Field:
        """HU that spongy bone differs from its mean."""
        coarse = _waves(points, 0.24, self.phases[6:9])
        return np.float32(self.patches_hu) * (coarse + 0.6 * _waves(points, 0.62, self.phases[:3]))


def sample_look(rng: np.random.Generator, mix: BoneMix, age_years: float) -> BoneLook:
    """Draw the look of a person's bones; the texture coarsens with age."""
    old = np.clip((age_years - 40) / 50, 0, 1)
    return BoneLook(
        waves=mix.cortex_waves.draw(rng),
        end_plate=mix.end_plate.draw(rng),
        grain_hu=mix.grain_hu.draw(rng) * float(1 - 0.35 * old),
        patches_hu=mix.patches_hu.draw(rng) * float(1 + 0.5 * old),
        phases=tuple(float(p) for p in rng.uniform(0, 2 * np.pi, 9)),
    )


def _waves(points: Points, per_mm: float, phases: tuple[float, ...]) -> Field:
    """Irregular waves of unit amplitude; `per_mm` radians per mm."""
    u, a, h = points
    f = np.float32(per_mm)
    p0, p1, p2 = (np.float32(p) for p in phases)
    first = np.sin(f * (u + 0.6 * h) + p0) * np.sin(f * np.float32(0.83) * (a - 0.5 * u) + p1)
    return (first + np.sin(f * np.float32(1.27) * (h - 0.4 * a) + p2)) * np.float32(0.7)
