"""What both sides of the queue agree on: settings, job vocabulary, job store, Celery app, publishing."""
