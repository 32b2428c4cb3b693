"""Content-addressed entries on disk, their locks and their eviction."""
