"""Verdicts out: serializers, readers of results, stream formats."""
