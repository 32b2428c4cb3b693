"""Localiser inference on a study: boxes, fusion, tracks, evidence and file."""
