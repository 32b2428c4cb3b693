from __future__ import annotations

import subprocess
import sys
import threading

from core.config import PROJECT_ROOT
from dashboard.warm_up import page_imports, warm_up


def test_every_page_is_covered_and_each_module_named_once():
    found = page_imports()
    assert len(found) == len(set(found))
    assert {
        "dashboard.components.evaluation_curves",
        "dashboard.components.frame",
        "dashboard.services",
    } <= set(found)


def test_a_stop_before_the_start_imports_nothing(monkeypatch):
    stop = threading.Event()
    stop.set()
    monkeypatch.setattr("importlib.import_module", lambda name: 1 / 0)
    warm_up(stop)


def test_warming_up_loads_the_evaluation_and_leaves_torch_out():
    code = (
        "import sys, threading\n"
        "from dashboard import warm_up\n"
        "warm_up.START_AFTER_S = 0\n"
        "warm_up.warm_up(threading.Event())\n"
        "assert 'dashboard.components.evaluation_curves' in sys.modules\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, check=True, timeout=120)
