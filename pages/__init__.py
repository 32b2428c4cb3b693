"""Pages of the dashboard, one file each, named for its URL."""
