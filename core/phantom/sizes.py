"""Levels and their average dimensions, in mm.

Body width and depth are the means of both end plates, canal and spinous and transverse processes
as in Panjabi et al. 1991 ("Cervical human vertebrae: quantitative three-dimensional anatomy of the
middle and lower regions", Spine 16:861-869; for T1-T3 "Thoracic human vertebrae", Spine
16:888-901), body heights after Gilad & Nissan 1986 ("A study of vertebra and disc geometric
relations of the human cervical and lumbar spine", Spine 11:154-157), uncinate processes after Lee
et al. 2012 (J Korean Neurosurg Soc 51:247-252) and Raveendranath et al. 2019 (Neurospine
16:748-755), facets (11-13 mm wide) after Panjabi et al. 1993 ("Articular facets of the human
spine", Spine 18:1298-1310), C1 and C2 after Doherty & Heggeness 1994 and 1995 ("The quantitative
anatomy of the atlas", Spine 19:2497-2500; "Quantitative anatomy of the second cervical vertebra",
Spine 20:513-517). All are rounded to half a millimetre.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.constants import VERTEBRAE

LEVELS = (*VERTEBRAE, "T1", "T2", "T3")


@dataclass(frozen=True, slots=True)
class VertebraSize:
    """Dimensions in mm: body (width, depth, height), canal, and processes.

    Attributes:
        width: Mean width of the body's end plates.
        depth: Mean depth of the body's end plates.
        height: Height of the body; for C2 without its dens.
        canal_depth: Canal, front to back.
        canal_width: Canal, side to side.
        spinous: Length of the spinous process behind the canal.
        transverse: Distance of the tip of a transverse process from the midline.
        bifid: Whether the spinous process is usually forked.
        foramina: Whether the transverse processes carry foramina.
        uncus: Height of the uncinate processes above the end plate.
    """

    width: float
    depth: float
    height: float
    canal_depth: float
    canal_width: float
    spinous: float
    transverse: float
    bifid: bool
    foramina: bool
    uncus: float = 0.0

    @property
    def pillar_u(self) -> float:
        """Distance of an articular pillar's axis from the midline, mm."""
        return self.canal_width / 2 + 6.0

    @property
    def pillar_a(self) -> float:
        """Distance of the articular pillars behind the middle of the body, mm."""
        return self.depth / 2 + 5.5

    @property
    def foramen_u(self) -> float:
        """Distance of a transverse foramen's middle from the midline, mm."""
        return self.width / 2 + 5.6

    @property
    def foramen_a(self) -> float:
        """Distance of the transverse foramina behind the middle of the body, mm."""
        return self.depth / 2 - 5.0


SIZES = {
    "C1": VertebraSize(0.0, 0.0, 12.0, 30.0, 28.0, 0.0, 38.0, False, True),
    "C2": VertebraSize(17.5, 15.5, 20.0, 18.0, 24.5, 17.0, 27.5, True, True),
    "C3": VertebraSize(16.5, 15.5, 14.0, 15.5, 23.0, 14.0, 25.5, True, True, 4.5),
    "C4": VertebraSize(17.0, 15.5, 13.5, 15.0, 24.0, 14.5, 25.5, True, True, 5.0),
    "C5": VertebraSize(18.5, 16.5, 13.0, 15.0, 24.5, 15.5, 26.0, True, True, 5.5),
    "C6": VertebraSize(20.0, 17.5, 13.0, 15.0, 25.0, 21.0, 27.5, True, True, 5.5),
    "C7": VertebraSize(22.5, 17.5, 14.5, 15.0, 24.5, 31.0, 33.0, False, True, 4.5),
    "T1": VertebraSize(26.0, 18.5, 16.0, 15.5, 21.5, 33.5, 37.0, False, False, 2.0),
    "T2": VertebraSize(26.0, 19.5, 17.0, 15.5, 19.0, 33.0, 34.0, False, False),
    "T3": VertebraSize(25.5, 21.5, 17.5, 15.5, 18.0, 33.0, 31.5, False, False),
}
