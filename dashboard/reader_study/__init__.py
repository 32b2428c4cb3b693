"""Reader study: a class reads cases blinded and is compared with the model."""
