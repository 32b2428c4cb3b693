"""Work outside the page script: threads, processes and futures."""
