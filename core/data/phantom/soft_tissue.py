"""Everything but the cervical vertebrae: skin, muscle, airway, vessels, skull, jaw, head rest."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from core.data.phantom.anatomy import LEVELS, Anatomy
from core.data.phantom.grid import Grid
from core.data.phantom.sdf import Field, Number, Points, capsule, ellipse, ellipsoid, wall

HU_FAT, HU_MUSCLE, HU_CSF, HU_CORD, HU_BRAIN, HU_DISC = -95.0, 58.0, 12.0, 40.0, 34.0, 85.0
HU_AIRWAY, HU_LUNG, HU_THYROID, HU_CARTILAGE, HU_TOOTH = -990.0, -840.0, 110.0, 130.0, 2300.0

_SKIN = {  # half width, front and back of the skin from the spine, mm, by level
    "skull": (76, 108, 92), "C1": (74, 104, 82), "C2": (71, 100, 72), "C3": (66, 86, 64),
    "C4": (61, 64, 61), "C5": (60, 58, 62), "C6": (66, 58, 66), "C7": (88, 62, 72),
    "T1": (130, 68, 80), "T2": (165, 78, 86),
}  # fmt: skip


def paint(hu: Field, alpha: Field, value: Field | Number) -> None:
    """Lay a tissue of a given HU over `hu` where its coverage `alpha` is above 0, in place."""
    hu += alpha * (value - hu)


def cover(distance: Field, pixel_mm: float) -> Field:
    """Share of a voxel covered by a solid, from the distance to its surface."""
    return np.clip(np.float32(0.5) - distance / np.float32(pixel_mm), 0, 1)


def paint_soft_tissue(
    grid: Grid, anatomy: Anatomy, swellings: list[tuple[float, float]], rng: np.random.Generator
) -> Field:
    """HU of the neck without its vertebrae, float32 (z, y, x).

    Args:
        grid: Voxels to fill.
        anatomy: The person.
        swellings: (z_mm, extra depth in mm) of prevertebral swellings.
        rng: Source of texture.
    """
    z = grid.z()
    x, y = grid.x()[None, None, :], grid.y()[None, :, None]
    levels = anatomy.level_z()[::-1]
    track = [
        np.interp(z, levels, [anatomy.poses[n].origin[k] for n in LEVELS[::-1]]).astype(np.float32)
        for k in (0, 1)
    ]
    u, a = x - track[0][:, None, None], y - track[1][:, None, None]
    marks = np.append(levels, levels[-1] + 30 * anatomy.scale)
    names = (*LEVELS[::-1], "skull")
    shape = np.array([_SKIN[n] for n in names], dtype=np.float32) * anatomy.girth
    width, front, back = (
        np.interp(z, marks, shape[:, k]).astype(np.float32)[:, None, None] for k in range(3)
    )
    px = grid.pixel_mm
    hu = np.full((grid.n_slices, grid.matrix, grid.matrix), -1000.0, dtype=np.float32)
    skin = ellipse(u, a - (back - front) / 2, width, (front + back) / 2)
    paint(hu, cover(skin, px), HU_FAT)
    _paint_muscle(hu, skin, grid, anatomy, rng)
    _paint_canal(hu, u, a, px, anatomy)
    _paint_front(hu, u, a, z, px, anatomy, levels[::-1], swellings)
    _paint_far_bones(hu, grid, anatomy)
    _paint_head_rest(hu, grid, float(y.max()), rng)
    return hu


def _paint_muscle(
    hu: Field, skin: Field, grid: Grid, anatomy: Anatomy, rng: np.random.Generator
) -> None:
    fat_mm = np.float32(3.0 + 6.0 * anatomy.girth)
    coarse = rng.standard_normal((max(grid.n_slices // 6, 3), 36, 36)).astype(np.float32)
    zoom = [n / m for n, m in zip(hu.shape, coarse.shape, strict=True)]
    texture: Field = np.asarray(ndimage.zoom(coarse, zoom, order=1))[: hu.shape[0]]
    seams = np.clip(1 - np.abs(texture) / 0.10, 0, 1) * np.float32(0.75)
    muscle = cover(skin + fat_mm, 2.5)
    paint(hu, muscle, HU_MUSCLE + 8 * texture)
    paint(hu, muscle * seams, HU_FAT)


def _paint_canal(hu: Field, u: Field, a: Field, px: float, anatomy: Anatomy) -> None:
    s = np.float32(anatomy.scale)
    paint(hu, cover(ellipse(u, a - 14.5 * s, 16 * s, 11 * s), px), HU_FAT / 2)
    paint(hu, cover(ellipse(u, a - 15.5 * s, 9.5 * s, 6.3 * s), px), HU_CSF)
    paint(hu, cover(ellipse(u, a - 15.5 * s, 6.4 * s, 3.9 * s), px), HU_CORD)


def _paint_front(
    hu: Field, u: Field, a: Field, z: Field, px: float, anatomy: Anatomy,
    levels: np.ndarray, swellings: list[tuple[float, float]],
) -> None:  # fmt: skip
    """Pharynx, larynx and trachea, oesophagus, thyroid, vessels; pushed forward by swellings."""
    s = np.float32(anatomy.scale)
    c1, c2, c3, c4, c5, c6, _, t1, _ = (float(v) for v in levels)
    push = np.zeros_like(z)
    for at, depth in swellings:
        push += np.float32(depth) * np.exp(-(((z - at) / (14 * s)) ** 2))
    below_larynx = np.clip((c4 - z) / max(c4 - c5, 1.0), 0, 1)
    gap = (14.5 + 11.0 * below_larynx) * s + push
    ru = np.interp(z, [t1, c6, c5, c4, c3, c2, c1], [8.5, 8.5, 6, 9, 13, 14, 14]).astype(np.float32)
    ra = np.interp(z, [t1, c6, c5, c4, c3, c2, c1], [8.5, 8.5, 9, 7, 6, 6, 9]).astype(np.float32)
    ru, ra, gap = (v[:, None, None] for v in (ru * s, ra * s, gap))
    a_air = a + gap + ra
    airway = ellipse(u, a_air, ru, ra)
    ring = np.abs(airway - np.float32(1.6)) - np.float32(1.4)
    larynx = ((z < c4) & (z > c6 - 8)).astype(np.float32)[:, None, None]
    paint(hu, cover(ring, px) * larynx * (a_air < 4), HU_CARTILAGE)
    paint(hu, cover(airway, px), HU_AIRWAY)
    lower = (z < c6).astype(np.float32)[:, None, None]
    paint(hu, cover(ellipse(u + 4, a + gap - 7 * s, 8 * s, 4 * s), px) * lower, 35.0)
    gland = ((z < c6 + 4) & (z > t1 - 6)).astype(np.float32)[:, None, None]
    for side in (-1, 1):
        lobe = ellipse(u - side * (ru + 8), a_air, 7 * s, 10 * s)
        paint(hu, cover(lobe, px) * gland, HU_THYROID)
        carotid = ellipse(u - side * 25 * s, a + 20 * s, 3.4, 3.4)
        jugular = ellipse(u - side * 31 * s, a + 16 * s, 5.2, 4.2)
        paint(hu, cover(carotid, px), anatomy.contrast_hu + 10)
        paint(hu, cover(jugular, px), anatomy.contrast_hu)
        sternomastoid = ellipse(u - side * 42 * s, a + 14 * s, 8 * s, 16 * s)
        paint(hu, cover(sternomastoid, px) * 0.9, HU_MUSCLE + 4)
        apex = ((t1 + 4 - z) / 30).clip(0, 1)[:, None, None]
        lung = ellipse(u - side * 50 * s, a - 4, 26 * s * apex + 1e-2, 32 * s * apex + 1e-2)
        paint(hu, cover(lung, px) * (apex > 0), HU_LUNG)


def _paint_far_bones(hu: Field, grid: Grid, anatomy: Anatomy) -> None:
    """Skull base, jaw with teeth, hyoid, first ribs and collar bones."""
    s = anatomy.scale
    pose = {n: anatomy.poses[n].origin for n in LEVELS}
    x, y, z = grid.x()[None, None, :], grid.y()[None, :, None], grid.z()[:, None, None]

    def frame(name: str) -> Points:
        o = pose[name]
        return tuple(
            ((p - np.float32(c)) / np.float32(s)) for p, c in zip((x, y, z), o, strict=True)
        )  # type: ignore[return-value]

    def bone(part: Field, surface: float = 1000.0, core: float = 380.0) -> None:
        depth = np.clip(-part / np.float32(1.8), 0, 1)
        paint(hu, cover(part * np.float32(s), grid.pixel_mm), surface + (core - surface) * depth)

    p = frame("C1")
    top = slice(0, max(int(np.searchsorted(-grid.z(), -(pose["C1"][2] - 8))), 1))
    head = (p[0], p[1], p[2][top])
    _paint_skull(hu[top], head, s, grid.pixel_mm)
    jaw = frame("C2")
    arch = [(-46, -12), (-43, -34), (-34, -62), (-16, -84), (0, -88), (16, -84), (34, -62),
            (43, -34), (46, -12)]  # fmt: skip
    bone(wall(jaw, arch, 9.0, -24.0, 2.0))
    for side in (-1, 1):
        bone(wall(jaw, [(side * 47, -10), (side * 45, -32)], 7.0, -18.0, 42.0))
    if anatomy.teeth:
        for angle in np.linspace(-1.15, 1.15, 13):
            spot = (36 * np.sin(angle), -48 - 34 * np.cos(angle))
            tooth = capsule(jaw, (*spot, 0.0), (*spot, 17.0), 3.0)
            paint(hu, cover(tooth * np.float32(s), grid.pixel_mm), HU_TOOTH)
    hyoid = frame("C3")
    bow = [(-19, -26), (-15, -40), (0, -47), (15, -40), (19, -26)]
    bone(wall(hyoid, bow, 4.0, -9.0, -3.0), 600.0, 300.0)
    chest = frame("T1")
    for side in (-1, 1):
        bone(capsule(chest, (side * 24, 14, 0), (side * 62, -2, -14), 5.0))
        bone(capsule(chest, (side * 62, -2, -14), (side * 54, -46, -30), 5.0))
        bone(capsule(chest, (side * 22, -62, -26), (side * 120, -30, 4), 6.5))


def _paint_skull(hu: Field, p: Points, s: float, px: float) -> None:
    u, a, h = p
    vault = ellipsoid(p, (0, -2, 78), (68, 84, 66))
    brain = cover(vault * np.float32(s), px)
    shell = np.abs(vault + 3) - np.float32(3.2)
    hole = ellipse(u, a - 8, 15.5, 17.5)
    skull = np.maximum(shell, -hole)
    for side in (-1, 1):
        condyle = ellipsoid(p, (side * 16.5, -6, 12.5), (7.5, 10, 4.8))
        petrous = ellipsoid(p, (side * 46, 2, 22), (15, 14, 17))
        skull = np.minimum(np.minimum(skull, condyle), petrous)
    paint(hu, brain, HU_BRAIN)
    depth = np.clip(-skull / np.float32(1.6), 0, 1)
    paint(hu, cover(skull * np.float32(s), px), 1150.0 - 500.0 * depth)
    for side in (-1, 1):
        cells = ellipsoid(p, (side * 50, 6, 18), (8, 7, 9))
        grain = (np.sin(u * 1.9) * np.sin(a * 1.7) * np.sin(h * 1.5)) > -0.1
        paint(hu, cover(cells * np.float32(s), px) * grain, -650.0)
    sinus = ellipsoid(p, (0, -74, 30), (24, 22, 22))
    paint(hu, cover(sinus * np.float32(s), px), -900.0)


def _paint_head_rest(hu: Field, grid: Grid, y_max: float, rng: np.random.Generator) -> None:
    x, y = grid.x()[None, :], grid.y()[:, None]
    depth = np.float32(rng.uniform(6, 12))
    curve = np.hypot(x / 1.6, y - (y_max - 92)) - (92 - depth)
    shell = cover(np.abs(curve) - np.float32(1.2), grid.pixel_mm)[None]
    foam = ((curve > 0) & (curve < depth)).astype(np.float32)[None]
    free = (hu < -700) & (y > y_max - 70)[None]
    paint(hu, foam * free, -940.0)
    paint(hu, shell * free, 90.0)
