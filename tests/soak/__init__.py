"""Keeps a stack under a steady load for hours, and checks that nothing of it grows."""
