"""Scores and truth as tables: reading, checking, joining and filtering them."""
