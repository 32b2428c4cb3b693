"""Atomic files, work in parallel, sandboxed processes, disk space: no word of medicine."""
