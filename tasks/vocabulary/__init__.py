"""Values that both sides of the queue share: no Redis, no Celery, no Flask, no settings."""
