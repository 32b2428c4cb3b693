"""The frame around the pages: who comes in, what is loaded at start, the glossary."""
