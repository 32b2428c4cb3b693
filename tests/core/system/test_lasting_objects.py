"""Imported modules are set aside once, and garbage that is made later is still found."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc, sys, types, weakref
from core.system.lasting_objects import LEAST_MODULES, ImportedModules, collect_all

def add_modules(count, start=[0]):
    for _ in range(count):
        start[0] += 1
        sys.modules[f"made_{start[0]}"] = types.ModuleType("made")

class Circle:
    def __init__(self):
        self.me = self

modules = ImportedModules()
add_modules(LEAST_MODULES)
answers = [modules.set_aside_once_settled(), modules.set_aside_once_settled()]
add_modules(LEAST_MODULES - 1)
answers += [modules.set_aside_once_settled(), modules.set_aside_once_settled()]
add_modules(1)
answers += [modules.set_aside_once_settled() for _ in range(3)]
assert answers == [False, True, False, False, False, True, False], answers
assert gc.get_freeze_count() > 2 * LEAST_MODULES
for collect in (gc.collect, collect_all):
    living = Circle()
    known = weakref.ref(living)
    gc.freeze()
    del living
    collect()
    assert (known() is None) == (collect is collect_all)
assert gc.get_freeze_count() > 2 * LEAST_MODULES
later = Circle()
known = weakref.ref(later)
del later
gc.collect()
assert known() is None
"""


def test_modules_are_set_aside_once_they_are_many_and_at_rest(repo_root):
    subprocess.run([sys.executable, "-c", PROGRAM], cwd=repo_root, check=True)
