"""From a study to slice, vertebra and patient scores, and to boxes."""
