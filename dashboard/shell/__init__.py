"""Around the pages: access gate, login, imports at the start, the glossary."""
