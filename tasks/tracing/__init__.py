"""Traces of requests, which OpenTelemetry collects: off by default."""
