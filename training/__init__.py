"""Training the embedded pack's model."""
