"""The Preprocessing page: every step from HU to the network, and augmentation previews."""
