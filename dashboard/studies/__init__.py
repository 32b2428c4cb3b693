"""The data set in use, open series, uploads and predictions: cached calls into core."""
