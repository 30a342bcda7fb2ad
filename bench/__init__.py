"""Measures what the service costs: the engine alone against the whole way through HTTP, interleaved."""
