"""The Preprocessing page: each step from HU to network input, and augmentation previews."""
