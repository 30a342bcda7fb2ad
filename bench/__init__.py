"""Benchmarks of the service: `programs` holds one file a benchmark, everything else is a part of several."""
