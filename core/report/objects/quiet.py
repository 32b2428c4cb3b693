"""Libraries name a value that they doubt in warnings and logs; a patient's must not get there."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Generator
from typing import Final

_LIBRARIES: Final = ("highdicom", "pydicom")


@contextlib.contextmanager
def quiet() -> Generator[None]:
    """Keep the libraries that read and write DICOM from logging or warning."""
    loggers = [logging.getLogger(name) for name in _LIBRARIES]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
