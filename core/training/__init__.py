"""Losses, the training loop, and run folders with checkpoints."""
