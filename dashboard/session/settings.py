"""The dashboard's paths and limits."""

from __future__ import annotations

from core.config import Settings


def settings() -> Settings:
    """Settings as the environment gives them now."""
    return Settings()
