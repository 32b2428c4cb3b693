"""The Diagnosis page: one study, or many, from the networks to the report."""
