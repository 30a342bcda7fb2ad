"""The Celery worker: scores what the ledger leases to its children."""
