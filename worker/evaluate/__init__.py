"""Measures packs on labelled texts."""
