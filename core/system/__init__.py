"""Atomic files, parallel work, sandboxed processes, disk space; nothing medical."""
