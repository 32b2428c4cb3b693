"""Threads share the arenas that are allowed, and freed memory goes back to the system."""

from __future__ import annotations

import platform
import re
import subprocess
import sys

import pytest

needs_glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc is told what to keep"
)
PROGRAM = """
import ctypes, sys, threading
from core.system.freed_memory import limit_malloc_arenas
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
if sys.argv[2] != "-":
    assert limit_malloc_arenas(int(sys.argv[2]))
barrier = threading.Barrier(8)
def allocate():
    barrier.wait()
    libc.malloc(1000)
    barrier.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
[one.start() for one in threads]
[one.join() for one in threads]
stream = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, stream)
libc.fclose(stream)
"""

KEPT = """
import numpy as np, psutil
from core.system.freed_memory import return_freed_memory
def resident():
    return psutil.Process().memory_info().rss >> 20
np.zeros(8 << 20, np.uint8).fill(1)  # From now on, smaller arrays are not mapped one by one.
before = resident()
arrays = [np.ones(1 << 20, np.uint8) for _ in range(200)]
del arrays[:-1]  # The last one keeps the memory below it from being trimmed by itself.
kept = resident() - before
return_freed_memory()
print(kept, resident() - before)
"""


@needs_glibc
def test_freed_memory_is_returned(repo_root):
    command = [sys.executable, "-c", KEPT]
    found = subprocess.run(command, cwd=repo_root, check=True, text=True, stdout=subprocess.PIPE)
    kept, left = map(int, found.stdout.split())
    assert kept > 150
    assert left < 30


@needs_glibc
def test_threads_share_the_arenas_that_are_allowed(tmp_path, repo_root):
    def arenas(limit):
        file = tmp_path / "arenas.xml"
        command = [sys.executable, "-c", PROGRAM, str(file), limit]
        subprocess.run(command, cwd=repo_root, check=True)
        return len(re.findall("<heap nr=", file.read_text()))

    assert arenas("-") > 2
    assert arenas("2") <= 2
