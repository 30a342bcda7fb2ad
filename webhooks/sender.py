"""The loop that starts every attempt when it is due: many in parallel, few to the same host of an owner."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import signal
import socket
import time
from collections import Counter, defaultdict
from collections.abc import Sequence

from tasks.errors import StoreUnavailableError
from tasks.store import deliveries
from tasks.store.deliveries import AttemptOutcome, Delivery, Room
from tasks.store.jobs import JobStore
from tasks.tracing import trace
from tasks.vocabulary.destinations import AddressRules
from tasks.vocabulary.webhooks import TEST_EVENT, DeliveryStatus
from webhooks import message
from webhooks.post import MAX_PARALLEL, Poster, Resolve
from webhooks.secret import signing_secrets

logger = logging.getLogger(__name__)

_MAX_PARALLEL_PER_HOST = 16
_LEASE_BATCH = 16
_POLL_S = 0.25
_STORE_RETRY_S = 1.0
_STOP_TIMEOUT_S = 5.0
_STOP_WITHOUT_REDIS_S = 2.0
_JITTER = 0.2


class Sender:
    """Leases due deliveries and sends them. Any number may run: a lease keeps a delivery from all others."""

    def __init__(self, store: JobStore, resolve: Resolve | None = None) -> None:
        settings = store.settings
        self._store = store
        self._poster = Poster(AddressRules(settings.webhook_allow), settings.webhook_timeout_s, resolve)
        self._retries_s = settings.webhook_retries_s
        self._attempts: set[asyncio.Task[None]] = set()
        self._held: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._stopping = asyncio.Event()
        self._last_heartbeat = -math.inf

    async def run(self) -> None:
        """Send until SIGTERM or SIGINT; attempts that have no response 5 s later are made again later."""
        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, self._stopping.set)
        logger.info("sending webhooks")
        sending, stopping = asyncio.create_task(self._send()), asyncio.create_task(self._stopping.wait())
        await asyncio.wait({sending, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({sending}, timeout=_STOP_WITHOUT_REDIS_S)
        if sending.done():
            sending.result()
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=_STOP_TIMEOUT_S)

    async def _send(self) -> None:
        """Start attempts until this program has to stop."""
        while not self._stopping.is_set():
            pause_s = await self._start_due()
            try:
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            except TimeoutError:
                continue

    async def _start_due(self) -> float:
        """Start the attempts that are due; return how many seconds to pause."""
        free = MAX_PARALLEL - len(self._attempts)
        if not free:
            return _POLL_S
        # A copy, because attempts end while the thread reads it.
        held = {owner: dict(hosts) for owner, hosts in self._held.items()}
        room = Room(min(_LEASE_BATCH, free), free, _MAX_PARALLEL_PER_HOST, held)
        try:
            leased = await asyncio.to_thread(deliveries.lease_due, self._store, room)
            # Before anything else can fail: each lease is an attempt.
            self._start(leased)
            await self._heartbeat()
        except StoreUnavailableError as error:
            logger.warning("webhooks wait for Redis: %s", error)
            return _STORE_RETRY_S
        return 0 if leased else _POLL_S

    def _start(self, leased: Sequence[Delivery]) -> None:
        for delivery in leased:
            self._held[delivery.owner][delivery.host] += 1
            task = asyncio.create_task(self._attempt(delivery))
            self._attempts.add(task)
            task.add_done_callback(self._attempts.discard)

    async def _heartbeat(self) -> None:
        """Write a heartbeat every few seconds; the probe reads it."""
        if time.monotonic() - self._last_heartbeat >= deliveries.HEARTBEAT_S:
            await asyncio.to_thread(deliveries.heartbeat, self._store, socket.gethostname())
            self._last_heartbeat = time.monotonic()

    async def _attempt(self, delivery: Delivery) -> None:
        try:
            signing = await asyncio.to_thread(signing_secrets, self._store, delivery.owner)
            content = message.body(delivery)
            headers = message.headers(delivery, content, signing)
            outcome = await self._post(delivery, headers, content)
            await asyncio.to_thread(self._record, delivery, outcome)
        except StoreUnavailableError as error:
            logger.warning("webhook of %s will be sent again: %s", delivery.job_id, error)
        except Exception:
            logger.exception(
                "webhook of %s: attempt %d failed by an error of the sender",
                delivery.job_id,
                delivery.attempt,
            )
        finally:
            self._release(delivery)

    async def _post(self, delivery: Delivery, headers: dict[str, str], content: bytes) -> AttemptOutcome:
        """Post once, in a span of the trace of the job if it is traced, which the receiver can continue."""
        with trace.delivery(delivery.trace) as span:
            span.set(job_id=delivery.job_id, attempts=delivery.attempt)
            traced = {"traceparent": span.traceparent} if span.traceparent else {}
            outcome = await self._poster.post(delivery.url, headers | traced, content)
            if outcome.status_code:
                span.set(status_code=outcome.status_code)
            if not _succeeded(outcome):
                span.fail(outcome.error or str(outcome.status_code))
        return outcome

    def _release(self, delivery: Delivery) -> None:
        hosts = self._held[delivery.owner]
        hosts[delivery.host] -= 1
        if not hosts[delivery.host]:
            del hosts[delivery.host]
        if not hosts:
            del self._held[delivery.owner]

    def _record(self, delivery: Delivery, outcome: AttemptOutcome) -> None:
        status, delay_s = self._next_status(delivery, outcome)
        logger.info(
            "webhook of %s: attempt %d, %s: %s",
            *(delivery.job_id, delivery.attempt, outcome.status_code or outcome.error, status),
        )
        deliveries.record_attempt(self._store, delivery, outcome, status, delay_s)

    def _next_status(self, delivery: Delivery, outcome: AttemptOutcome) -> tuple[DeliveryStatus, float]:
        """Return the status of the delivery after an attempt, and the seconds until the next attempt."""
        if _succeeded(outcome):
            return DeliveryStatus.DELIVERED, 0
        if outcome.status_code == 410:  # noqa: PLR2004  Standard Webhooks: the receiver wants no more
            return DeliveryStatus.GONE, 0
        made = delivery.attempt - delivery.earlier
        if made > len(self._retries_s) or delivery.event == TEST_EVENT:
            return DeliveryStatus.EXHAUSTED, 0
        delay_s = self._retries_s[made - 1]
        return DeliveryStatus.PENDING, delay_s * random.uniform(1, 1 + _JITTER)  # noqa: S311  no secret


def _succeeded(outcome: AttemptOutcome) -> bool:
    return 200 <= (outcome.status_code or 0) < 300  # noqa: PLR2004  HTTP's successes
