"""Engines: what runs a pack."""
