"""The HTTP interface for programs: predictions of uploads and of studies of the data set."""
