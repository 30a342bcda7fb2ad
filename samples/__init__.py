"""Texts that ship with the project: labelled reviews, calibration texts, and texts composed of reviews."""
