"""State of a browser session, access rights and roles, and the wording of quantities."""
