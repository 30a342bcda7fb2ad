"""Flower's Celery app: our queues and our transport, and no task. Entry point of the container `flower`."""

import sys

from tasks.broker.celery_app import build_celery
from tasks.errors import ConfigurationError
from tasks.settings import Settings

try:
    app = build_celery(Settings.read())
except ConfigurationError as error:
    sys.exit(f"flower: {error}")
# What workers have not acknowledged is none of its business: it may read events and the lengths of queues.
unacked = {name: f"celeryev.{name}" for name in ("unacked_key", "unacked_index_key", "unacked_mutex_key")}
app.conf.broker_transport_options |= unacked
# Celery's own, which Flower knows how to ask for the lengths of queues; ours mends what only workers do.
app.conf.broker_transport = "redis"
