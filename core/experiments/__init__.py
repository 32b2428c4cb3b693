"""What makes and measures the shipped bundles: cohorts, folds, sweeps, ablations, cards."""
