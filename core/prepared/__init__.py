"""Voxels made ready for a network or the viewer, kept in the cache; torch data sets over them."""
