"""Entry point of the container `flower`: a Celery app with our queues and without tasks."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any, cast
from urllib.parse import quote

from celery.app.control import Control
from flower.views import BaseHandler

from tasks.broker.celery_app import build_celery
from tasks.errors import ConfigurationError
from tasks.redis_connections import sentinel_options
from tasks.redis_url import RedisUrl, read_redis_url
from tasks.settings import Settings
from tasks.store.connection import connect
from tasks.store.keys import MODELS
from tasks.vocabulary.hosts import in_url
from tasks.vocabulary.model_names import wakeup_queue

_STOP_TIMEOUT_S = 5


class SilentControl(Control):  # type: ignore[misc]
    """Sends no control message: Flower's Redis user may not publish, and a refusal would stop its events."""

    def broadcast(self, *_: Any, **__: Any) -> list[Any]:
        """Return no replies."""
        return []


def _end_in_time() -> None:
    """End this process when its main thread has ended: other threads may wait for Redis for minutes."""
    threading.main_thread().join()
    time.sleep(_STOP_TIMEOUT_S)
    os._exit(os.EX_OK)


def _queue_names(_: BaseHandler) -> list[str]:
    """Return the queues of the registered models: workers are not asked, and those that stopped count too."""
    names: list[bytes] = redis.hkeys(MODELS)
    return sorted(wakeup_queue(name.decode()) for name in names)


def broker_of(url: RedisUrl) -> dict[str, Any]:
    """Return the settings by which Celery's own transports find a Redis."""
    login = ":".join(quote(part or "", safe="") for part in (url.user, url.password))
    at = f"{login}@" if login != ":" else ""
    if url.path:
        socket = f"redis+socket://{at}{url.path}?virtual_host={url.database}"
        return {"broker_url": socket, "broker_transport": "redis"}
    if url.sentinels:
        hosts = [f"sentinel://{at}{in_url(host)}:{port}/{url.database}" for host, port in url.sentinels]
        options = {"master_name": url.service, "sentinel_kwargs": sentinel_options(url)}
        own = {**app.conf.broker_transport_options, **options}
        return {
            "broker_url": ";".join(hosts),
            "broker_transport": "sentinel",
            "broker_transport_options": own,
        }
    return {"broker_transport": "redis"}


try:
    settings = Settings.read()
    app, redis = build_celery(settings), cast("Any", connect(settings))
except ConfigurationError as error:
    sys.exit(f"flower: {error}")
# Flower's user of Redis may not write the keys of unacknowledged messages: they get names of its own.
unacked = {name: f"sentiqev.{name}" for name in ("unacked_key", "unacked_index_key", "unacked_mutex_key")}
app.conf.broker_transport_options |= unacked
# Celery's own transports: Flower reads queues only from those. Ours corrects a fault of workers.
app.conf.update(broker_of(read_redis_url(settings.redis_url.get_secret_value())))
app.control_cls = SilentControl
BaseHandler.get_active_queue_names = _queue_names
threading.Thread(target=_end_in_time, daemon=True).start()
