"""Data sets, open studies, uploads and predictions: cached calls into core."""
