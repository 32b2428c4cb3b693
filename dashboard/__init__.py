"""Streamlit dashboard over core: one room per page, and what pages share."""
