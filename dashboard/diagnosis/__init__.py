"""The Diagnosis page: one study, or a batch, from the networks to the report."""
