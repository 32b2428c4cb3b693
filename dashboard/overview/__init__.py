"""The Overview page: the method, the data set and the networks at a glance."""
