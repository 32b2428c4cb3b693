"""Losses, the run loop, and run folders with what a run resumes from."""
