"""Who is at the page and what the page remembers: state, access, roles, number formats."""
