"""Packs: what serving needs of a model directory."""
