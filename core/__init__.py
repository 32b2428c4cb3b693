"""Detection of cervical-spine fractures on CT: data, models, training, inference, evaluation."""
