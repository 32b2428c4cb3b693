"""Entry of the dashboard: `streamlit run streamlit_app.py`."""

from __future__ import annotations

import streamlit as st

app = st.App("dashboard/app.py")
