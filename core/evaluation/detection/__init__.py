"""How well boxes match: IoU, FROC, average precision, and the files they come from."""
