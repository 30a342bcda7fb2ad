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
from tasks.errors import SentiqError, StoreUnavailableError
from tasks.store.connection import connect_apart
from tasks.store.jobs import JobStore, Page
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
# The results of jobs that finish together are read together, if a job has at most this number of items.
_SMALL_ITEMS = 16
_RELAYED_AT_ONCE = 64
_REMEMBERED = 4096


class WaitHub:
    """Lets requests wait for jobs. Under gevent a thread is a greenlet, so one costs a few kilobytes."""

    def __init__(self, store: JobStore, max_held: int) -> None:
        self.stopping = False
        self._store = store
        self._max_held = max_held
        self._watches: dict[str, JobWatch] = {}
        self._held = 0
        self._subscribed = threading.Event()
        self._heard = _Heard()
        self._started = threading.Lock()

    @property
    def full(self) -> bool:
        """Whether as many requests wait as may: the next one is answered at once."""
        return self._held >= self._max_held

    def wait(
        self,
        job: Job,
        seconds: float,
        *,
        held: bool = False,
        ends_paused: bool = False,
        since: float | None = None,
    ) -> tuple[Job, Page | None]:
        """Return the job as soon as it is finished, or as it is after that many seconds.

        With it come its first results, if they were read together. `held` says that the request is counted
        already, `ends_paused` that no job is waited for that is held up by a pause; `since`, that the job was
        made after that time of the monotonic clock, and is as it was made if no message about it has come.
        """
        end = time.monotonic() + seconds
        if job.status.terminal or (ends_paused and job.held_up):
            return job, None
        with self._watch(job) if held else self.subscribe(job) as subscription:
            if since is not None and self._has_heard_all(job.id, since):
                subscription.watch.trust()
            while True:
                wake = subscription.wake_events()
                job, left_s = subscription.job(), end - time.monotonic()
                if job.status.terminal or left_s <= 0 or self.stopping or (ends_paused and job.held_up):
                    return job, subscription.page
                with turns.paused():
                    wake.finished.wait(min(left_s, self.reread_s))

    def wait_or_last_known(
        self, job: Job, seconds: float, *, held: bool = False, since: float
    ) -> tuple[Job, Page | None]:
        """Wait for a job that was just accepted; return it as it was accepted should Redis go meanwhile.

        Return it at once while a pause holds it up: nobody knows for how long.
        """
        try:
            return self.wait(job, seconds, held=held, ends_paused=True, since=since)
        except StoreUnavailableError as error:
            logger.warning("%s is accepted, but cannot be waited for: %s", job.id, error)
            return job, None

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

    def _has_heard_all(self, job_id: str, since: float) -> bool:
        """Return whether the subscriber would know if a job that was made after a time had finished."""
        return self._subscribed.is_set() and self._heard.nothing_of(job_id, since)

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
                self._relay(message, pubsub)
            elif time.monotonic() - heard_at > _DEAF_S:
                # Idle connections of that age may be dead too: the next read of a job must not use one.
                self._store.redis.connection_pool.disconnect(inuse_connections=False)
                raise redis.ConnectionError(f"no answer to a PING for {_DEAF_S:g} s")
            else:
                pubsub.ping()

    def _relay(self, message: dict[str, Any] | None, pubsub: Any) -> None:
        """Relay a message, and those that have come with it: what finished together is read together."""
        finished: dict[str, JobWatch] = {}
        left = _RELAYED_AT_ONCE
        try:
            while message is not None:
                self._sort(message, finished)
                left -= 1
                message = pubsub.get_message(timeout=0) if left else None
        finally:
            if finished:
                self._finish(finished)

    def _sort(self, message: dict[str, Any], finished: dict[str, JobWatch]) -> None:
        """Wake who waits for a change; add the watch of a job that finished."""
        is_finish = message["channel"] == FINISHED_CHANNEL.encode()
        if message["type"] == "message":
            job_id = message["data"].decode()
            watch = self._watches.get(job_id)
            if is_finish:
                self._heard.add(job_id)
            if watch and is_finish:
                finished[job_id] = watch
            elif watch:
                watch.wake(finished=False)
        elif is_finish:
            # Subscribed to both channels. What was published before was missed: all read their jobs once.
            self._heard = _Heard()
            self._subscribed.set()
            self._wake_all()

    def _finish(self, watches: dict[str, JobWatch]) -> None:
        """Read jobs that finished together, with the results of small ones, and wake who waits for them."""
        small = [job_id for job_id, watch in watches.items() if watch.items <= _SMALL_ITEMS]
        read: dict[str, tuple[Job, Page]] = {}
        try:
            if small:
                read = self._store.with_results(small, _SMALL_ITEMS)
        except SentiqError as error:
            logger.warning("%d jobs that finished are read one by one: %s", len(small), error)
        for job_id, watch in watches.items():
            job, page = read.get(job_id, (None, None))
            if job and page and job.status.terminal:
                watch.finish(job, page)
            else:
                watch.wake(finished=True)


class _Heard:
    """The jobs that finished lately, as far as they were heard of."""

    def __init__(self) -> None:
        self._complete_since = time.monotonic()
        self._at: dict[str, float] = {}

    def add(self, job_id: str) -> None:
        """Note that a job has finished; forget the oldest one if there are many."""
        self._at[job_id] = time.monotonic()
        if len(self._at) > _REMEMBERED:
            self._complete_since = self._at.pop(next(iter(self._at)))

    def nothing_of(self, job_id: str, since: float) -> bool:
        """Return whether a job did not finish, if it was made after a time of the monotonic clock."""
        return self._complete_since < since and job_id not in self._at
