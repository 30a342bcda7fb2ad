"""Waiting for jobs: one Redis subscriber a process wakes all who wait; those of one job share a read."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis

from api.waiting.subscription import FRESH_S, View, Watch
from tasks.errors import StoreUnavailableError
from tasks.store.jobs import JobStore
from tasks.store.keys import FINISHED_CHANNEL, PROGRESS_CHANNEL
from tasks.vocabulary.jobs import Job

logger = logging.getLogger(__name__)

# Whoever waits looks for itself that often, should the subscriber miss a word; FRESH_S while there is none.
_LOOK_S = 15.0
_RECONNECT_S = 0.5


class Waiters:
    """Under gevent the thread is a greenlet and a waiter costs a few kilobytes."""

    def __init__(self, store: JobStore) -> None:
        self.closing = False
        self._store = store
        self._most = store.settings.max_held
        self._watches: dict[str, Watch] = {}
        self._held = 0
        self._subscribed = threading.Event()
        self._started = threading.Lock()

    @property
    def full(self) -> bool:
        """Whether so many requests are held that the next is answered at once."""
        return self._held >= self._most

    def follow(self, job: Job, seconds: float) -> Job:
        """Wait for a job that was just accepted; should Redis go meanwhile, it is still accepted."""
        try:
            return self.wait(job, seconds)
        except StoreUnavailableError as error:
            logger.warning("%s is accepted, but cannot be followed: %s", job.id, error)
            return job

    def wait(self, job: Job, seconds: float) -> Job:
        """Return the job as soon as it is over, or as it is after so many seconds."""
        end = time.monotonic() + seconds
        if job.status.terminal:
            return job
        with self.watch(job) as view:
            while True:
                turn = view.turn
                job, left = view.job(), end - time.monotonic()
                if job.status.terminal or left <= 0 or self.closing:
                    return job
                turn.over.wait(min(left, self.look_s))

    @contextmanager
    def watch(self, job: Job) -> Iterator[View]:
        """Be one of those who wait for the job."""
        self._start()
        watch = self._watches.setdefault(job.id, Watch(self._store, job))
        watch.viewers += 1
        self._held += 1
        try:
            yield View(watch, watch.seat())
        finally:
            self._held -= 1
            watch.viewers -= 1
            if not watch.viewers:
                self._watches.pop(job.id, None)

    @property
    def look_s(self) -> float:
        """How long to wait for a word before looking for oneself."""
        return _LOOK_S if self._subscribed.is_set() else FRESH_S

    def close(self) -> None:
        """Have all waits end now, with jobs as they are: the process is about to stop."""
        self.closing = True
        self._touch_all()

    def _touch_all(self) -> None:
        for watch in tuple(self._watches.values()):
            watch.touch(over=True)

    def _start(self) -> None:
        """Subscribe at the first wait: gunicorn forks after the app is built in some set-ups."""
        if self._started.acquire(blocking=False):
            threading.Thread(target=self._listen, name="finished-jobs", daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                with self._store.redis.pubsub() as pubsub:
                    pubsub.subscribe(PROGRESS_CHANNEL, FINISHED_CHANNEL)
                    while True:
                        self._relay(pubsub.get_message(timeout=1))
            except (redis.RedisError, OSError) as error:
                logger.warning("waiters are on their own until Redis is back: %s", error)
            except Exception:
                logger.exception("waiters are on their own for a moment")
            self._subscribed.clear()
            time.sleep(_RECONNECT_S)

    def _relay(self, message: dict[str, Any] | None) -> None:
        if message is None:
            return
        over = message["channel"] == FINISHED_CHANNEL.encode()
        if message["type"] == "message":
            watch = self._watches.get(message["data"].decode())
            if watch:
                watch.touch(over=over)
        elif over:
            # Subscribed to both: what was said until now is to be read, what follows will be heard.
            self._subscribed.set()
            self._touch_all()
