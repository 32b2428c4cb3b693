"""Voxels made ready for a network or for the viewer, kept in the cache; torch data sets over them."""
