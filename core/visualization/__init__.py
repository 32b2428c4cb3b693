"""Surfaces and scenes in 3D, and the files they are exported to."""
