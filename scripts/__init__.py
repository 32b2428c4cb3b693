"""Set-up and start; install and launch run before the packages exist: standard library only."""
