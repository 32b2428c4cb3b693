from __future__ import annotations

import pytest
from streamlit.elements.lib import policies

from tests.dashboard.fixtures import at_work, workplace

__all__ = ["at_work", "workplace"]


@pytest.fixture(autouse=True)
def no_widget_with_a_default_and_a_set_value(monkeypatch):
    """Streamlit logs a stack trace for such a widget, once in a process."""
    monkeypatch.setattr(policies, "_shown_default_value_warning", False)
    yield
    assert not policies._shown_default_value_warning
