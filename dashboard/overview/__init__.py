"""The Overview page: what this is, the cohort and the models at a glance."""
