"""One study's findings as DICOM objects: segmentation, structured report, PDF and key slices."""
