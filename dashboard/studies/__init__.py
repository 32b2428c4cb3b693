"""The studies at hand: the data set in use, open series, uploads, predictions and their cohorts."""
