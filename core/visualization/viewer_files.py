"""The browser's side of a scene: our viewer and the vtk.js that an installed package carries."""

from __future__ import annotations

import functools
import gzip
import hashlib
import importlib.util
from pathlib import Path
from typing import Final

from core.errors import SceneError

WEB: Final = Path(__file__).resolve().parent / "web"
_VTK_JS: Final = "dist/bundled/abstractvtkplot/vtk.js@*/vtk.js"


@functools.lru_cache(maxsize=1)
def vtk_js() -> bytes:
    """vtk.js as panel ships it, so that nothing is fetched from outside.

    Raises:
        SceneError: The package that carries it is missing or has moved it.
    """
    spec = importlib.util.find_spec("panel")
    found = [] if spec is None or spec.origin is None else sorted(
        Path(spec.origin).parent.glob(_VTK_JS)
    )  # fmt: skip
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


def web_text(name: str) -> str:
    """One of the viewer's own files, such as "scene_viewer.js"."""
    return (WEB / name).read_text(encoding="utf-8")
