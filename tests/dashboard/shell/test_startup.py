from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from core.config import PROJECT_ROOT
from dashboard.shell.startup import modules_below, warm_up


def test_every_module_of_the_dashboard_is_named_once():
    found = modules_below("dashboard")
    assert len(found) == len(set(found))
    assert {
        "dashboard.evaluation.curve_charts",
        "dashboard.evaluation.charts.roc_pr",
        "dashboard.widgets.frame",
        "dashboard.session.settings",
    } <= set(found)
    assert modules_below("dashboard.overview")[0] == "dashboard.overview.cards"


def test_a_stop_before_the_start_imports_nothing(monkeypatch):
    stop = threading.Event()
    stop.set()
    monkeypatch.setattr("importlib.import_module", lambda name: 1 / 0)
    warm_up(stop)


@pytest.mark.slow
def test_warming_up_loads_the_evaluation_and_leaves_torch_out():
    code = (
        "import sys, threading\n"
        "from dashboard.shell import startup\n"
        "startup.START_AFTER_S = 0\n"
        "startup.warm_up(threading.Event())\n"
        "assert 'dashboard.evaluation.curve_charts' in sys.modules\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, check=True, timeout=120)


@pytest.mark.slow
def test_a_module_is_never_seen_partly_initialised(tmp_path):
    """A reader's imports wait for the one that the warm-up is at."""
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(.5)\nDONE = 1\n")
    code = (
        "import sys, threading, time\n"
        "from dashboard.shell import startup\n"
        "startup.START_AFTER_S = 0\n"
        "startup.modules_below = lambda _: ['slow']\n"
        "thread = threading.Thread(target=startup.warm_up, args=(threading.Event(),))\n"
        "thread.start()\n"
        "while 'slow' not in sys.modules: time.sleep(.01)\n"
        "assert not hasattr(sys.modules['slow'], 'DONE')\n"
        "with startup.serialized_imports():\n"
        "    assert sys.modules['slow'].DONE == 1\n"
        "thread.join()\n"
        "assert not startup._warming.is_set()\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{PROJECT_ROOT}{os.pathsep}{tmp_path}"}
    subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, check=True, timeout=120, env=environment
    )


@pytest.mark.slow
def test_the_first_page_is_loaded_before_the_server_answers():
    code = (
        "import asyncio, sys\n"
        "from dashboard.shell import startup\n"
        "startup.START_AFTER_S = 60\n"
        "async def start():\n"
        "    async with startup.lifespan(None):\n"
        "        return set(sys.modules)\n"
        "loaded = asyncio.run(start())\n"
        "assert 'dashboard.overview.cards' in loaded\n"
        "assert 'dashboard.tour.bar' in loaded\n"
        "assert 'torch' not in loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, check=True, timeout=120)
