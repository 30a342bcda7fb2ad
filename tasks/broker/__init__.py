"""Celery as a doorbell: the app, its transport, and the wake-ups that children get."""
