"""Work in the background: threads, processes and futures."""
