"""Streamlit dashboard over core: navigation, cached services, charts, components."""
