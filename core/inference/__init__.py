"""From a CT volume to slice, vertebra and patient probabilities."""
