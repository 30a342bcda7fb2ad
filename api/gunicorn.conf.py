"""gunicorn's settings, made from ours."""

import sys
import threading
import time
from typing import Any

from tasks.errors import ConfigurationError
from tasks.log_format import LineFormatter
from tasks.settings import Settings
from tasks.vocabulary.hosts import in_url

try:
    _settings = Settings.read()
except ConfigurationError as error:
    sys.exit(f"api: {error}")

bind = f"{in_url(_settings.host)}:{_settings.port}"
workers = _settings.api_processes
# Handlers only wait for Redis, so each request gets a greenlet, which is cheaper than a thread.
worker_class = "gevent"
worker_connections = 4000
loglevel = _settings.log_level
control_socket_disable = True
# An idle connection delays a stop by up to that many seconds.
keepalive = 5
# Longer than the longest wait, so that waiting requests are answered before a stop.
graceful_timeout = int(_settings.max_wait_s) + 5
timeout = 60


def on_starting(server: Any) -> None:
    """Write gunicorn's own records like ours: a request that it refuses is quoted in them."""
    for handler in server.log.error_log.handlers:
        handler.setFormatter(LineFormatter(server.log.error_fmt, server.log.datefmt))


def post_worker_init(worker: Any) -> None:
    """Answer waiting requests as soon as the worker has to stop."""

    def watch() -> None:
        while worker.alive:
            time.sleep(0.2)
        worker.wsgi.extensions["sentiq"].wait_hub.stop()

    threading.Thread(target=watch, name="stop-watch", daemon=True).start()
