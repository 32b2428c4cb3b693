"""Reusable blocks of a page."""
