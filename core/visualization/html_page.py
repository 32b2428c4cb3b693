"""A scene as one HTML file that needs no server and no network."""

from __future__ import annotations

import base64
import gzip
from typing import Final

import numpy as np

from core.constants import DISPLAY_WINDOWS, NOT_FOR_CLINICAL_USE, SYNTHETIC_WARNING
from core.system.html import render_page
from core.types import CTVolume, HuWindow
from core.visualization.planes import CtPlane, axial_plane, upright_plane
from core.visualization.scene import SceneInfo
from core.visualization.scene_surfaces import PackedParts
from core.visualization.viewer_files import WEB, library_gzipped, vtk_js_name, web_text

_BONE: Final = HuWindow(*DISPLAY_WINDOWS["bone"])
_SIDE_MM: Final = 56.0
_AXIAL_PICTURES: Final = 48
"""So many axial slices at most travel with the page; a slice between shows its neighbour."""


def scene_page(packed: PackedParts, info: SceneInfo, volume: CTVolume) -> bytes:
    """Write the page, UTF-8.

    The cut plane of the page is the sagittal one through the middle; it can be switched on, not
    moved.

    Args:
        packed: The surfaces.
        info: What the scene says.
        volume: The series; its pictures travel, its headers do not.

    Raises:
        SceneError: vtk.js is missing.
    """
    step = max(-(-volume.n_slices // _AXIAL_PICTURES), 1)
    peaks = [level.peak for level in info.levels if level.peak is not None]
    wanted = sorted({*range(0, volume.n_slices, step), info.start_slice, *peaks})
    axial = {str(i): _carried(axial_plane(volume, i, _BONE)) for i in wanted}
    middle = np.array(info.center)
    carried = {
        "parts": base64.b64encode(packed.payload).decode(),
        "info": info.to_json(),
        "axial": axial,
        "upright": _carried(upright_plane(volume, middle, 0.0, _BONE)),
        "sagittal": _carried(upright_plane(volume, middle, 0.0, _BONE, half_width_mm=_SIDE_MM)),
    }
    packed_vtk, _ = library_gzipped(vtk_js_name())
    page = render_page(
        WEB / "page.html",
        carried=carried,
        viewer=web_text("scene_viewer.js").replace("</", "<\\/"),
        vtk=gzip.decompress(packed_vtk).decode().replace("</script", "<\\/script"),
        synthetic=info.synthetic,
        synthetic_warning=SYNTHETIC_WARNING,
        not_for_clinical_use=NOT_FOR_CLINICAL_USE,
    )
    return page.encode()


def _carried(plane: CtPlane) -> dict[str, object]:
    picture = base64.b64encode(plane.jpeg()).decode()
    return {"url": f"data:image/jpeg;base64,{picture}", "corners": plane.corners.round(2).tolist()}
