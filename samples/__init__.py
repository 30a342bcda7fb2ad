"""Texts that ship with the project: reviews, calibration texts, and texts composed of them."""
