"""The browser's side of a scene: our viewer and the vtk.js that an installed package carries."""

from __future__ import annotations

import functools
import gzip
import importlib.util
import re
from pathlib import Path
from typing import Final

from core.errors import SceneError

WEB: Final = Path(__file__).resolve().parent / "web"
_VTK_JS: Final = "bundled/abstractvtkplot/vtk.js@*/vtk.js"
_LIBRARIES: Final = {"panel": "dist", "bokeh": "server/static/js"}
_MEDIA_TYPES: Final = {".js": "text/javascript", ".css": "text/css"}


def vtk_js_name() -> str:
    """Name of vtk.js for `library_gzipped`; its version is part of it.

    Raises:
        SceneError: panel, which carries it so that nothing is fetched from outside, is missing or
            has moved it.
    """
    folder = _package_folder("panel") / _LIBRARIES["panel"]
    found = sorted(folder.glob(_VTK_JS))
    if not found:
        raise SceneError("vtk.js was not found in the package panel; run `make setup` again.")
    return found[-1].relative_to(folder).as_posix()


@functools.lru_cache(maxsize=16)
def library_gzipped(name: str) -> tuple[bytes, str]:
    """A script or style sheet of panel or bokeh, gzip-compressed, and its media type.

    Args:
        name: Path below the folder that the package calls "dist" or "release", as the page of the
            second renderer asks for it.

    Raises:
        SceneError: The packages carry no such file.
    """
    media_type = _MEDIA_TYPES.get(Path(name).suffix)
    if media_type is not None:
        for package, below in _LIBRARIES.items():
            folder = (_package_folder(package) / below).resolve()
            # bokeh's name has its version in it, its file has not.
            file = (folder / re.sub(r"-\d+(\.\d+)+(?=\.min\.js$)", "", name)).resolve()
            if file.is_relative_to(folder) and file.is_file():
                return gzip.compress(file.read_bytes(), 6, mtime=0), media_type
    raise SceneError(f"No package carries {name}; run `make setup` again.")


def _package_folder(package: str) -> Path:
    """Where a package is installed, found without importing it.

    Raises:
        SceneError: It is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SceneError(f"The package {package} is missing; run `make setup` again.")
    return Path(spec.origin).parent


def web_text(name: str) -> str:
    """One of the viewer's own files, such as "scene_viewer.js"."""
    return (WEB / name).read_text(encoding="utf-8")
