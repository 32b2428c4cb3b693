"""One study's findings as a document: what it says, and how it is written as HTML and as PDF."""
