"""Training: the model of the embedded pack, and models of your own (`training.tune`)."""
