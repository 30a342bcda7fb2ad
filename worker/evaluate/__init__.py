"""Evaluation: measure a pack's accuracy and calibration on labelled texts."""
