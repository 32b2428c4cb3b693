"""Pure functions on images: windowing, resizing, augmentation, noise reduction."""
