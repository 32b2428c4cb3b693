"""The localiser on a study: boxes, their fusion, tracks, evidence and file."""
