"""Making and measuring the shipped bundles: cohorts, folds, sweeps, ablations, model cards."""
