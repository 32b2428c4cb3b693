"""The dashboard's paths and limits."""

from __future__ import annotations

import os
from functools import lru_cache

from pydantic import ValidationError

from core.config import Settings
from core.errors import ConfigError, first_fault


def settings() -> Settings:
    """Settings as the environment gives them now.

    Raises:
        ConfigError: A variable has a value that it cannot have.
    """
    # A page asks some hundred times, and to check all values takes half a millisecond.
    return _settings(tuple(os.environ.items()))


@lru_cache(maxsize=4)
def _settings(_environment: tuple[tuple[str, str], ...]) -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        name, _, problem = first_fault(error).partition(": ")
        raise ConfigError(f"{name.upper()}: {problem}; correct that variable.") from error
