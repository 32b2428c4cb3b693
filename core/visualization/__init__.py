"""Surfaces and scenes for three-dimensional views."""
