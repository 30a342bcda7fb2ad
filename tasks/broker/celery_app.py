"""The Celery app of both sides: the same queues, JSON only, finite timeouts, no result backend.

Celery carries wake-ups; the job store keeps jobs and results. A result backend would make the API subscribe
for each task, and could turn a scored text into a failure because its result was not stored.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from celery import Celery
from celery.app.amqp import AMQP
from kombu.connection import Connection
from kombu.entity import Exchange, Queue

from tasks.redis_url import broker_url, read_redis_url
from tasks.settings import Settings
from tasks.store.keys import UNACKED
from tasks.vocabulary.model_names import wakeup_queue

logger = logging.getLogger(__name__)

# Celery's own pauses grow to 32 s: workers would be idle for that long after Redis is back.
_RECONNECT_S = {"interval_start": 1, "interval_step": 1, "interval_max": 2}
_TRANSPORT_OPTIONS: dict[str, Any] = {
    # A worker whose connections died in silence meets two of them, one after the other.
    "socket_timeout": 1.5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    # A connection that died in silence is found at the second of these, and the wake-up that it took along is
    # published again by the reconciler: both together may cost 10 s.
    "health_check_interval": 1,
    # Longer than a task may take. A wake-up that is redelivered all the same finds nothing to lease.
    "visibility_timeout": 180,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "unacked_mutex_expire": 30,
    # Names of our own: another Celery app on this Redis would restore our messages, and we its.
    "unacked_key": UNACKED,
    "unacked_index_key": UNACKED + "_index",
    "unacked_mutex_key": UNACKED + "_mutex",
}

# One more try at once: kombu would try for six seconds.
_IMPATIENT = {
    "socket_connect_timeout": 1,
    "max_retries": 1,
    "interval_start": 0,
    "interval_max": 0,
}


class _Connection(Connection):
    """A connection that tries again every two seconds."""

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        return super().ensure_connection(*args, **_RECONNECT_S | options)  # type: ignore[no-untyped-call]


class _Amqp(AMQP):  # type: ignore[misc]  # Celery has no types
    Connection = _Connection


def build_celery(settings: Settings) -> Celery:
    """Return the app that publishes and consumes wake-ups; it knows no queue and no task."""
    _ignore_environment()
    url = settings.redis_url.get_secret_value()
    read = read_redis_url(url)
    app = Celery("sentiq", amqp=_Amqp, set_as_current=False)
    app.conf.update(
        broker_url=broker_url(url),
        # The name of our transport hides the scheme from kombu, which would not verify `rediss://` either.
        broker_use_ssl=read.tls,
        broker_transport="tasks.broker.transport:Transport",
        broker_transport_options={**_TRANSPORT_OPTIONS, "server": read},
        broker_connection_timeout=3,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        result_backend=None,
        task_ignore_result=True,
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        result_accept_content=["json"],
        task_create_missing_queues=False,
        # Names of our own: `control shutdown` of another Celery app on this Redis would stop our workers.
        control_exchange="sentiq",
        event_exchange="sentiqev",
        event_queue_prefix="sentiqev",
        # Never used: each wake-up is published to the queue of a model.
        task_default_queue=wakeup_queue("none"),
        enable_utc=True,
    )
    return app


def declared_queue(model: str) -> Queue:
    """Return the queue that carries the wake-ups of a model."""
    name = wakeup_queue(model)
    return Queue(name, Exchange(name), routing_key=name)


def consume(app: Celery, model: str) -> None:
    """Have the workers of an app take the wake-ups of one model, and nothing else."""
    queue = declared_queue(model)
    app.amqp.queues.add(queue)
    app.amqp.queues.select([queue.name])


def build_publisher(settings: Settings) -> Celery:
    """Return the app of a program that only publishes while a caller waits: it gives up early."""
    app = build_celery(settings)
    app.conf.update(
        broker_transport_options={**app.conf.broker_transport_options, **_IMPATIENT},
        broker_pool_limit=8,
        broker_pool_acquire_timeout=1,
        broker_connection_retry=False,
        task_publish_retry=False,
    )
    return app


def _ignore_environment() -> None:
    """Remove Celery's own variables from this process: they would overrule the settings of the app."""
    names = sorted(name for name in os.environ if name.startswith("CELERY_"))
    for name in names:
        del os.environ[name]
    if names:
        logger.warning("%s: ignored, REDIS_URL names the only broker", ", ".join(names))
