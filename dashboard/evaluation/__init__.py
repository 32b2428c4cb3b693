"""The Evaluation page: models, thresholds, curves, comparisons and what is saved."""
