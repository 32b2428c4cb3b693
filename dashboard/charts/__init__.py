"""Plotly charts that draw result objects computed in core."""
