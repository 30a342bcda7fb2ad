"""What both sides of the queue agree on: settings, job vocabulary, ledger, Celery app, publishing."""
