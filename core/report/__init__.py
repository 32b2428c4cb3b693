"""One study's findings as a document, in HTML and in PDF, and as DICOM objects."""
