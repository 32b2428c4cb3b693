"""Pure functions on image arrays."""
