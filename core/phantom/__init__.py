"""Synthetic cervical CT studies written as real DICOM in RSNA's layout."""
