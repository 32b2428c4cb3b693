"""The 3D page: the spine as surfaces, with planes, boxes and fracture probabilities."""
