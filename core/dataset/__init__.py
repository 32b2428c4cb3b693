"""The RSNA tables, masks, index, quality flags and folds."""
