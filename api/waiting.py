"""Waiting for jobs to end: one Redis subscriber a process wakes all who wait."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict

import redis

from tasks.errors import LedgerUnavailableError
from tasks.jobs import Job
from tasks.ledger import Ledger
from tasks.refs import FINISHED_CHANNEL

logger = logging.getLogger(__name__)

# Whoever waits looks for itself that often, should the subscriber have missed a word.
_LOOK_S = 2.0
_RECONNECT_S = 0.5


class Waiters:
    """Under gevent the thread is a greenlet and a waiter costs a few kilobytes."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._events: defaultdict[str, set[threading.Event]] = defaultdict(set)
        self._subscribed = threading.Event()
        self._started = threading.Lock()
        self._closing = False

    def follow(self, job: Job, seconds: float) -> Job:
        """Wait for a job that was just accepted; should Redis go meanwhile, it is still accepted."""
        try:
            return self.wait(job.id, seconds)
        except LedgerUnavailableError as error:
            logger.warning("%s is accepted, but cannot be followed: %s", job.id, error)
            return job

    def wait(self, job_id: str, seconds: float) -> Job:
        """Return the job as soon as it is over, or as it is after so many seconds."""
        end = time.monotonic() + seconds
        self._start()
        over = threading.Event()
        self._events[job_id].add(over)
        try:
            # Registered first, read second: whatever ends in between is not missed.
            while not (job := self._ledger.job(job_id)).status.terminal:
                left = end - time.monotonic()
                if left <= 0 or self._closing:
                    break
                over.wait(min(left, _LOOK_S))
            return job
        finally:
            self._forget(job_id, over)

    def close(self) -> None:
        """Have all waits end now, with jobs as they are: the process is about to stop."""
        self._closing = True
        for events in tuple(self._events.values()):
            for over in tuple(events):
                over.set()

    def _forget(self, job_id: str, over: threading.Event) -> None:
        self._events[job_id].discard(over)
        if not self._events[job_id]:
            del self._events[job_id]

    def _start(self) -> None:
        """Subscribe at the first wait: gunicorn forks after the app is built in some set-ups."""
        if self._started.acquire(blocking=False):
            threading.Thread(target=self._listen, name="finished-jobs", daemon=True).start()
        self._subscribed.wait(1)

    def _listen(self) -> None:
        while True:
            try:
                with self._ledger.redis.pubsub(ignore_subscribe_messages=True) as pubsub:
                    pubsub.subscribe(FINISHED_CHANNEL)
                    self._subscribed.set()
                    self._relay(pubsub)
            except (redis.RedisError, OSError) as error:
                logger.warning("waiters are on their own until Redis is back: %s", error)
            except Exception:
                logger.exception("waiters are on their own for a moment")
            time.sleep(_RECONNECT_S)

    def _relay(self, pubsub: redis.client.PubSub) -> None:
        while True:
            message = pubsub.get_message(timeout=1)
            if message:
                for over in tuple(self._events.get(message["data"].decode(), ())):
                    over.set()
