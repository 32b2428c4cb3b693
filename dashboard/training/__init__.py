"""The Training page: the form, the runs and their curves."""
