"""The dashboard's paths and limits."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.config import Settings
from core.errors import ConfigError, first_fault


class ApiSettings(BaseSettings):
    """The HTTP interface for programs, from the environment.

    Attributes:
        api_token: Token that every request has to carry; "" switches the interface off.
        api_max_jobs: Unfinished predictions of one server process; further ones are refused.
        api_keep_minutes: How long a finished prediction is kept if nobody deletes it.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    api_token: SecretStr | None = Field(default=None, min_length=24)
    api_max_jobs: int = Field(default=16, ge=1)
    api_keep_minutes: float = Field(default=60.0, gt=0)


def settings() -> Settings:
    """Settings as the environment gives them now.

    Raises:
        ConfigError: A variable has a value that it cannot have.
    """
    return _settings(_variables())


def api_settings() -> ApiSettings:
    """Settings of the HTTP interface as the environment gives them now.

    Raises:
        ConfigError: As for `settings`.
    """
    return _api_settings(_variables())


def _variables() -> tuple[tuple[str, str], ...]:
    # A page asks some hundred times, and to check all values takes half a millisecond.
    return tuple(os.environ.items())


@lru_cache(maxsize=4)
def _settings(_environment: tuple[tuple[str, str], ...]) -> Settings:
    with _named_faults():
        return Settings()


@lru_cache(maxsize=4)
def _api_settings(_environment: tuple[tuple[str, str], ...]) -> ApiSettings:
    with _named_faults():
        return ApiSettings()


@contextmanager
def _named_faults() -> Generator[None]:
    """Name the variable that has a wrong value."""
    try:
        yield
    except ValidationError as error:
        name, _, problem = first_fault(error).partition(": ")
        raise ConfigError(f"{name.upper()}: {problem}; correct that variable.") from error
