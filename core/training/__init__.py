"""Losses, the training loop, and run folders."""
