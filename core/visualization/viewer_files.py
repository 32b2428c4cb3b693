"""The browser's side of a scene: our viewer and the vtk.js that an installed package carries."""

from __future__ import annotations

import functools
import gzip
import hashlib
import importlib.util
import re
from pathlib import Path
from typing import Final

from core.errors import SceneError

WEB: Final = Path(__file__).resolve().parent / "web"
_VTK_JS: Final = "dist/bundled/abstractvtkplot/vtk.js@*/vtk.js"
_LIBRARIES: Final = {"panel": "dist", "bokeh": "server/static/js"}
_MEDIA_TYPES: Final = {".js": "text/javascript", ".css": "text/css"}


@functools.lru_cache(maxsize=1)
def vtk_js() -> bytes:
    """vtk.js as panel ships it, so that nothing is fetched from outside.

    Raises:
        SceneError: The package that carries it is missing or has moved it.
    """
    found = sorted(_package_folder("panel").glob(_VTK_JS))
    if not found:
        raise SceneError("vtk.js was not found in the package panel; run `make setup` again.")
    return found[-1].read_bytes()


@functools.lru_cache(maxsize=1)
def vtk_js_gzipped() -> bytes:
    """The same, gzip-compressed."""
    return gzip.compress(vtk_js(), 6, mtime=0)


@functools.lru_cache(maxsize=1)
def vtk_js_digest() -> str:
    """Short digest of vtk.js, so that a browser keeps one build of it apart from another.

    Raises:
        SceneError: As above.
    """
    return hashlib.sha256(vtk_js()).hexdigest()[:16]


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
