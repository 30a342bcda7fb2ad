"""gunicorn's settings, made from ours."""

import gc
import os
import signal
import sys
import threading
import time
from typing import Any

import gevent

from api.http.capacity import held_requests, max_connections, raise_file_limit, return_large_blocks
from tasks.errors import ConfigurationError
from tasks.log_format import LineFormatter
from tasks.settings import Settings
from tasks.tracing import trace
from tasks.vocabulary.hosts import in_url

try:
    _settings = Settings.read()
except ConfigurationError as error:
    sys.exit(f"api: {error}")

if os.environ.get("GUNICORN_CMD_ARGS"):
    # It would win over this file, so the API would not be where and what the settings say.
    sys.exit("api: GUNICORN_CMD_ARGS is set; the SENTIMENT_ variables of docs/configuration.md replace it")

raise_file_limit()
return_large_blocks()
# It would cost a connection 8 KiB to know where its greenlet came from.
gevent.config.track_greenlet_tree = False
bind = f"{in_url(_settings.host)}:{_settings.port}"
workers = _settings.api_processes
# Handlers only wait for Redis, so each request gets a greenlet, which is cheaper than a thread.
worker_class = "api.server.Worker"
worker_connections = max_connections()
# The worker has its own limit, which has room for long queries.
limit_request_line = 0
loglevel = _settings.log_level
control_socket_disable = True
# The mount point is a setting of the process (SCRIPT_NAME), not a header of a request.
forwarder_headers = ""
# That a connection is kept alive; the worker bounds for how long.
keepalive = _settings.keep_alive_s
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
    """Keep what was loaded out of garbage collections; when the worker has to stop, end what waits."""
    gc.freeze()

    def watch() -> None:
        while worker.alive:
            time.sleep(0.2)
        worker.wsgi.extensions["sentiq"].wait_hub.stop()
        worker.close_unused_connections()

    threading.Thread(target=watch, name="stop-watch", daemon=True).start()


def worker_exit(_server: Any, _worker: Any) -> None:
    """Export the last spans of a worker that ends."""
    trace.stop()


def when_ready(server: Any) -> None:
    """Say how many requests can be held if the limit on open files allows fewer than the setting."""
    held = held_requests(_settings.max_held)
    if held < _settings.max_held:
        server.log.warning(
            "At most %d requests are held, not SENTIMENT_MAX_HELD=%d: the limit on open files allows %d"
            " connections. Raise it with `ulimit -n`.",
            *(held, _settings.max_held, worker_connections),
        )
