"""The load that benchmarks put on the service."""
