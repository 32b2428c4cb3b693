"""Metrics with intervals, computed from stored predictions."""
