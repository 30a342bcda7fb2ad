"""Waiting for jobs: one Redis subscriber in each process wakes all requests that wait."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Never

import redis

from api.waiting.subscription import FRESH_S, JobWatch, Subscription
from api.waiting.turns import turns
from tasks.errors import StoreUnavailableError
from tasks.store.connection import connect_apart
from tasks.store.jobs import JobStore
from tasks.store.keys import FINISHED_CHANNEL, PROGRESS_CHANNEL
from tasks.vocabulary.jobs import Job

logger = logging.getLogger(__name__)

# How often a waiting request reads its job, should a message be lost; FRESH_S without a subscriber.
_REREAD_S = 15.0
_RECONNECT_S = 0.5
# The subscriber sends a PING whenever it heard nothing for a second. A connection without an answer for
# _DEAF_S is dead, though nobody closed it: with connecting anew no wait is deaf for more than 5 seconds.
_PING_S = 1.0
_DEAF_S = 2.5


class WaitHub:
    """Lets requests wait for jobs. Under gevent a thread is a greenlet, so one costs a few kilobytes."""

    def __init__(self, store: JobStore, max_held: int) -> None:
        self.stopping = False
        self._store = store
        self._max_held = max_held
        self._watches: dict[str, JobWatch] = {}
        self._held = 0
        self._subscribed = threading.Event()
        self._started = threading.Lock()

    @property
    def full(self) -> bool:
        """Whether as many requests wait as may: the next one is answered at once."""
        return self._held >= self._max_held

    def wait(self, job: Job, seconds: float, *, held: bool = False, ends_paused: bool = False) -> Job:
        """Return the job as soon as it is finished, or as it is after that many seconds.

        `held` says that the request is counted already, `ends_paused` that no job is waited for that is held
        up by a pause.
        """
        end = time.monotonic() + seconds
        if job.status.terminal or (ends_paused and job.held_up):
            return job
        with self._watch(job) if held else self.subscribe(job) as subscription:
            while True:
                wake = subscription.wake_events()
                job, left_s = subscription.job(), end - time.monotonic()
                if job.status.terminal or left_s <= 0 or self.stopping or (ends_paused and job.held_up):
                    return job
                with turns.paused():
                    wake.finished.wait(min(left_s, self.reread_s))

    def wait_or_last_known(self, job: Job, seconds: float, *, held: bool = False) -> Job:
        """Wait for a job that was just accepted; return it as it was accepted should Redis go meanwhile.

        Return it at once while a pause holds it up: nobody knows for how long.
        """
        try:
            return self.wait(job, seconds, held=held, ends_paused=True)
        except StoreUnavailableError as error:
            logger.warning("%s is accepted, but cannot be waited for: %s", job.id, error)
            return job

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Count a request against the limit until the block ends."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    @contextmanager
    def subscribe(self, job: Job) -> Iterator[Subscription]:
        """Hold a request for the job: it counts against the limit until the block ends."""
        with self.hold(), self._watch(job) as subscription:
            yield subscription

    @contextmanager
    def _watch(self, job: Job) -> Iterator[Subscription]:
        self._start_listening()
        watch = self._watches.setdefault(job.id, JobWatch(self._store, job))
        watch.subscribers += 1
        try:
            yield Subscription(watch, watch.next_group())
        finally:
            watch.subscribers -= 1
            if not watch.subscribers:
                self._watches.pop(job.id, None)

    @property
    def reread_s(self) -> float:
        """How long to wait for a wake event before reading the job all the same."""
        return _REREAD_S if self._subscribed.is_set() else FRESH_S

    def stop(self) -> None:
        """End all waits now, with the jobs as they are: the process is about to stop."""
        self.stopping = True
        self._wake_all()

    def _wake_all(self) -> None:
        for watch in tuple(self._watches.values()):
            watch.wake(finished=True)

    def _start_listening(self) -> None:
        """Subscribe at the first wait, because gunicorn may fork after the app is built."""
        if self._started.acquire(blocking=False):
            threading.Thread(target=self._listen, name="job-messages", daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                with connect_apart(self._store.redis) as client, client.pubsub() as pubsub:
                    pubsub.subscribe(PROGRESS_CHANNEL, FINISHED_CHANNEL)
                    self._relay_all(pubsub)
            except (redis.RedisError, OSError) as error:
                logger.warning("no messages about jobs until Redis is back; waits poll instead: %s", error)
            except Exception:
                logger.exception("no messages about jobs for a moment; waits poll instead")
            self._subscribed.clear()
            time.sleep(_RECONNECT_S)

    def _relay_all(self, pubsub: Any) -> Never:
        """Relay messages until the connection fails. Raises redis.ConnectionError when it is deaf."""
        heard_at = time.monotonic()
        while True:
            message = pubsub.get_message(timeout=_PING_S)
            if message is not None:
                heard_at = time.monotonic()
                self._relay(message)
            elif time.monotonic() - heard_at > _DEAF_S:
                # Idle connections of that age may be dead too: the next read of a job must not use one.
                self._store.redis.connection_pool.disconnect(inuse_connections=False)
                raise redis.ConnectionError(f"no answer to a PING for {_DEAF_S:g} s")
            else:
                pubsub.ping()

    def _relay(self, message: dict[str, Any]) -> None:
        finished = message["channel"] == FINISHED_CHANNEL.encode()
        if message["type"] == "message":
            watch = self._watches.get(message["data"].decode())
            if watch:
                watch.wake(finished=finished)
        elif finished:
            # Subscribed to both channels. What was published before was missed: all read their jobs once.
            self._subscribed.set()
            self._wake_all()
