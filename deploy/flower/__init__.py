"""Flower in its container."""
