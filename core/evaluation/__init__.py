"""Metrics, curves, intervals, thresholds and comparisons, computed from stored predictions."""
