"""gunicorn's settings, out of ours."""

import sys
import threading
import time
from typing import Any

from api.keyring import Keyring
from tasks.errors import ConfigurationError, LedgerUnavailableError
from tasks.ledger import Ledger
from tasks.settings import Settings

try:
    _settings = Settings.read()
except ConfigurationError as error:
    sys.exit(f"api: {error}")

bind = f"{_settings.host}:{_settings.port}"
workers = _settings.api_processes
# Handlers only wait for Redis: a waiter is a greenlet, not a thread.
worker_class = "gevent"
worker_connections = 4000
loglevel = _settings.log_level
control_socket_disable = True
# An idle connection holds up a stop for so long.
keepalive = 5
# Longer than the longest wait, so that a stop answers those who wait.
graceful_timeout = int(_settings.max_wait_s) + 5
timeout = 60


def on_starting(server: Any) -> None:
    """Refuse to start where nobody could call: that is a mistake better told now than by 401s."""
    if _settings.auth == "none":
        return
    try:
        keys = Keyring(Ledger.connect(_settings)).all()
    except LedgerUnavailableError as error:
        server.log.warning("cannot look for API keys, calls will get 503 until Redis answers: %s", error)
        return
    if not keys:
        sys.exit(
            "api: there are no API keys, so nobody could call. Make one: `python -m api.keys create NAME`,"
            " or set AUTH=none if whoever reaches this port may use it."
        )


def post_worker_init(worker: Any) -> None:
    """Answer those who wait as soon as the worker is told to stop."""

    def watch() -> None:
        while worker.alive:
            time.sleep(0.2)
        worker.wsgi.extensions["sentiq"].waiters.close()

    threading.Thread(target=watch, name="stop-watch", daemon=True).start()
