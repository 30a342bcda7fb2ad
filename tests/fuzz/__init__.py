"""Feeds readers of what others send with mutated inputs: only declared errors may come out."""
