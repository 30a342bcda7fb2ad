"""gunicorn's settings, made from ours."""

import sys
import threading
import time
from typing import Any

from api.http.capacity import held_requests, max_connections, raise_file_limit
from tasks.errors import ConfigurationError
from tasks.settings import Settings

try:
    _settings = Settings.read()
except ConfigurationError as error:
    sys.exit(f"api: {error}")

raise_file_limit()
bind = f"{_settings.host}:{_settings.port}"
workers = _settings.api_processes
# Handlers only wait for Redis, so each request gets a greenlet, which is cheaper than a thread.
worker_class = "api.server.Worker"
worker_connections = max_connections()
# The worker has its own limit, which has room for long queries.
limit_request_line = 0
loglevel = _settings.log_level
control_socket_disable = True
# That a connection is kept alive; the worker bounds for how long.
keepalive = _settings.keep_alive_s
# Longer than the longest wait, so that waiting requests are answered before a stop.
graceful_timeout = int(_settings.max_wait_s) + 5
timeout = 60


def post_worker_init(worker: Any) -> None:
    """Answer waiting requests, and close unused connections, as soon as the worker has to stop."""

    def watch() -> None:
        while worker.alive:
            time.sleep(0.2)
        worker.wsgi.extensions["sentiq"].wait_hub.stop()
        worker.close_unused_connections()

    threading.Thread(target=watch, name="stop-watch", daemon=True).start()


def when_ready(server: Any) -> None:
    """Say how many requests can be held if the limit on open files allows fewer than the setting."""
    held = held_requests(_settings.max_held)
    if held < _settings.max_held:
        server.log.warning(
            "At most %d requests are held, not SENTIMENT_MAX_HELD=%d: the limit on open files allows %d"
            " connections. Raise it with `ulimit -n`.",
            *(held, _settings.max_held, worker_connections),
        )
