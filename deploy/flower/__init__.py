"""Flower as it runs in a container."""
