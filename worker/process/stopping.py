"""Ends a worker that has to stop while Redis does not answer.

Celery's warm shutdown talks to Redis in many steps, and each waits for its timeout. Nothing is lost by not
waiting: without Redis no result can be recorded, and other children take over what this worker has leased.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time

import redis
from billiard import active_children

from tasks.settings import Settings
from tasks.store.connection import connect

logger = logging.getLogger(__name__)

# A restart of Redis with little data takes less.
_SILENCE_S = 5.0
_INTERVAL_S = 0.5


class StopWatch:
    """Watches Redis from the moment the worker has to stop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def start(self) -> None:
        """Watch in a thread: no child is forked any more, so it can hold no lock of one."""
        threading.Thread(target=self._watch, name="stop-watch", daemon=True).start()

    def _watch(self) -> None:
        client = connect(self._settings)
        answered_at = time.monotonic()
        while time.monotonic() - answered_at < _SILENCE_S:
            if _answers(client):
                answered_at = time.monotonic()
            time.sleep(_INTERVAL_S)
        logger.warning("Redis does not answer: stopping without it")
        logging.shutdown()
        for child in active_children():
            os.kill(child.pid, signal.SIGKILL)
        os._exit(os.EX_OK)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except (redis.RedisError, OSError):
        return False
