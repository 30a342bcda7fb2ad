"""The loop that makes every attempt when it is due: many at once, few to any one host."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import signal
import socket
import time
from collections import Counter

from tasks.errors import StoreUnavailableError
from tasks.store import deliveries
from tasks.store.deliveries import AttemptOutcome, Delivery
from tasks.store.jobs import JobStore
from tasks.vocabulary.destinations import AddressRules
from tasks.vocabulary.webhooks import DeliveryStatus
from webhooks import message
from webhooks.post import Poster, Resolve
from webhooks.secret import signing_secrets

logger = logging.getLogger(__name__)

_AT_ONCE = 128
_AT_ONCE_TO_A_HOST = 16
_LEASED_AT_ONCE = 16
_LOOK_S = 0.25
_REDIS_GONE_S = 1.0
_STOP_S = 5.0
_JITTER = 0.2


class Sender:
    """Any number may run: what one holds, others do not see until its lease is over."""

    def __init__(self, store: JobStore, resolve: Resolve | None = None) -> None:
        settings = store.settings
        self._store = store
        self._poster = Poster(AddressRules(settings.webhook_allow), settings.webhook_timeout_s, resolve)
        self._retries_s = settings.webhook_retries_s
        self._attempts: set[asyncio.Task[None]] = set()
        self._hosts: Counter[str] = Counter()
        self._stopping = asyncio.Event()
        self._reported = -math.inf

    async def run(self) -> None:
        """Send until SIGTERM or SIGINT; what is not answered soon after that is due again later."""
        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, self._stopping.set)
        logger.info("sending webhooks")
        while not self._stopping.is_set():
            pause_s = await self._begin()
            try:
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            except TimeoutError:
                continue
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=_STOP_S)

    async def _begin(self) -> float:
        """Begin the attempts that are due; return how long to pause, in seconds."""
        room = min(_LEASED_AT_ONCE, _AT_ONCE - len(self._attempts))
        if room <= 0:
            return _LOOK_S
        crowded = [host for host, count in self._hosts.items() if count >= _AT_ONCE_TO_A_HOST]
        try:
            leased = await asyncio.to_thread(deliveries.lease_due, self._store, room, crowded)
            await self._report()
        except StoreUnavailableError as error:
            logger.warning("webhooks wait for Redis: %s", error)
            return _REDIS_GONE_S
        for delivery in leased:
            self._hosts[delivery.host] += 1
            task = asyncio.create_task(self._attempt(delivery))
            self._attempts.add(task)
            task.add_done_callback(self._attempts.discard)
        return 0 if leased else _LOOK_S

    async def _report(self) -> None:
        """Say once in a while that this loop turns and the job store answers it: a probe asks for that."""
        if time.monotonic() - self._reported >= deliveries.HEARTBEAT_S:
            await asyncio.to_thread(deliveries.heartbeat, self._store, socket.gethostname())
            self._reported = time.monotonic()

    async def _attempt(self, delivery: Delivery) -> None:
        try:
            secrets = await asyncio.to_thread(signing_secrets, self._store)
            content = message.body(delivery)
            answer = await self._poster.post(
                delivery.url, message.headers(delivery, content, secrets), content
            )
            await asyncio.to_thread(self._settle, delivery, answer)
        except StoreUnavailableError as error:
            logger.warning("webhook of %s will be sent again: %s", delivery.job_id, error)
        except Exception:
            logger.exception("webhook of %s: attempt %d failed here", delivery.job_id, delivery.attempt)
        finally:
            self._hosts[delivery.host] -= 1
            if not self._hosts[delivery.host]:
                del self._hosts[delivery.host]

    def _settle(self, delivery: Delivery, answer: AttemptOutcome) -> None:
        status, delay_s = self._verdict(delivery, answer)
        logger.info(
            "webhook of %s: attempt %d, %s: %s",
            *(delivery.job_id, delivery.attempt, answer.status_code or answer.error, status),
        )
        deliveries.record_attempt(self._store, delivery, answer, status, delay_s)

    def _verdict(self, delivery: Delivery, answer: AttemptOutcome) -> tuple[DeliveryStatus, float]:
        """Return what an answer means for the delivery, and the seconds until the next attempt, if any."""
        code = answer.status_code or 0
        if 200 <= code < 300:  # noqa: PLR2004  as HTTP has it
            return DeliveryStatus.DELIVERED, 0
        if code == 410:  # noqa: PLR2004  as the standard has it
            return DeliveryStatus.GONE, 0
        if delivery.attempt > len(self._retries_s):
            return DeliveryStatus.EXHAUSTED, 0
        delay_s = self._retries_s[delivery.attempt - 1]
        return DeliveryStatus.PENDING, delay_s * random.uniform(1, 1 + _JITTER)  # noqa: S311  spreads, hides nothing
