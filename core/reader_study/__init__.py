"""Reader studies: people call studies blinded, and are compared with each other and the model."""
