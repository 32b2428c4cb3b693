"""Functions that other processes run in the tests of core.system.parallel; importable there."""

import os
import signal
import time

import numpy as np

from core.errors import DicomSeriesError


def square(number):
    return number * number


def own_pid(_):
    return os.getpid()


def refuse_odd(path):
    """A typed error whose constructor takes three arguments, as pickling must survive."""
    if int(path.name) % 2:
        raise DicomSeriesError(path, "the number is odd", "give an even one")
    return path.name


def divide(number):
    return 1 / number


def mark_and_wait(folder, seconds, item):
    """Leave a file a call, then take `seconds`; returns the item and the process that did it."""
    (folder / f"{item}-{os.getpid()}-{time.monotonic_ns()}").touch()
    time.sleep(seconds)
    return item, os.getpid()


def kill_own_process(victim, item):
    if item == victim:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.02)
    return item


def kill_own_process_once(flag, item):
    if item == 3 and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item


HELD = []


def hold_memory(_):
    """Hold 350 MB at the end of the process's second call, when the pool looks at its size."""
    HELD.append(np.ones(350_000_000 if len(HELD) == 1 else 0, np.uint8))
    if len(HELD) == 2:
        time.sleep(1.1)
    else:
        HELD[1:] = [np.ones(0)] * (len(HELD) - 1)
        time.sleep(0.05)
    return os.getpid()
