"""gunicorn's settings, made from ours."""

import os
import signal
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

if os.environ.get("GUNICORN_CMD_ARGS"):
    # It would win over this file, so the API would not be where and what the settings say.
    sys.exit("api: GUNICORN_CMD_ARGS is set; the SENTIMENT_ variables of docs/configuration.md replace it")

bind = f"{in_url(_settings.host)}:{_settings.port}"
workers = _settings.api_processes
# Handlers only wait for Redis, so each request gets a greenlet, which is cheaper than a thread.
worker_class = "gevent"
worker_connections = 4000
loglevel = _settings.log_level
control_socket_disable = True
# The mount point is a setting of the process (SCRIPT_NAME), not a header of a request.
forwarder_headers = ""
# An idle connection delays a stop by up to that many seconds.
keepalive = 5
# Longer than the longest wait, so that waiting requests are answered before a stop.
graceful_timeout = int(_settings.max_wait_s) + 5
timeout = 60
_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def on_starting(server: Any) -> None:
    """Write gunicorn's own records like ours: a request that it refuses is quoted in them."""
    for handler in server.log.error_log.handlers:
        handler.setFormatter(LineFormatter(server.log.error_fmt, server.log.datefmt))


def post_fork(server: Any, _worker: Any) -> None:
    """Let a worker that still starts end at once when it has to stop: gunicorn's handlers come later."""

    def leave(*_: object) -> None:
        sys.exit(0)

    for signum in _STOPS:
        signal.signal(signum, leave)
    # Since the fork, signals went to the queue of the parent, of which the worker has a copy.
    while not server.SIG_QUEUE.empty():
        if server.SIG_QUEUE.get_nowait() in _STOPS:
            leave()


def post_worker_init(worker: Any) -> None:
    """Answer waiting requests as soon as the worker has to stop."""

    def watch() -> None:
        while worker.alive:
            time.sleep(0.2)
        worker.wsgi.extensions["sentiq"].wait_hub.stop()

    threading.Thread(target=watch, name="stop-watch", daemon=True).start()
