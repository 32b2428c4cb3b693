"""Who is at the page and what the page remembers: state, roles, wording of numbers."""
