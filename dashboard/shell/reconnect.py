"""A page whose connection came back is drawn again, also by a server that has never drawn it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import streamlit as st

EVERY: Final = timedelta(days=1)


@st.fragment(run_every=EVERY)
def redrawn_after_reconnect() -> None:
    """Draw nothing; that it runs periodically is what counts.

    Streamlit's frontend asks for a run after a lost connection only if the page was busy or has a
    periodic fragment. Without one, a page that stood still when its server ended would keep its
    pixel addresses, which the next server does not know.
    """
