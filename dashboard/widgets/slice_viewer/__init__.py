"""The CT viewer of every page that shows a slice; `docs/pages/viewer.md` shows how to use it."""
