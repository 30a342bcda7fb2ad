"""Tests of webhooks: a sender makes one attempt by the rules of all deliveries; its outcome is waited for."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from tasks.errors import NoWebhookError, SenderUnavailableError
from tasks.store.connection import store_errors
from tasks.store.deliveries import Attempt, DeliveryLog, read_log
from tasks.store.jobs import JobStore
from tasks.store.keys import job_key
from tasks.vocabulary.webhooks import TEST_EVENT, DeliveryStatus, Webhook

# A sender looks for work four times a second; a busy one has room when an attempt of others ends.
_START_S = 10
_POLL_S = 0.1
_ID_BYTES = 12


@dataclass(frozen=True, slots=True)
class WebhookTest:
    """A test that was made: the id of its message, and its attempt."""

    message_id: str
    attempt: Attempt
    status: DeliveryStatus


def webhook_of(store: JobStore, job_id: str) -> tuple[str, Webhook]:
    """Return the owner and the webhook of a job, whether it is finished or not. Raises NoWebhookError."""
    with store_errors():
        pipe = store.redis.pipeline(transaction=False)
        pipe.hmget(job_key(job_id), ("owner", "webhook"))
        # A delivery that is still to be made may outlive the record of its job.
        pipe.hmget(job_key(job_id, "delivery"), ("owner", "url", "host"))
        (owner, webhook), (owner_then, url, host) = pipe.execute()
    if webhook:
        return (owner or b"").decode(), Webhook.decode(webhook)
    if url:
        return owner_then.decode(), Webhook(url.decode(), host.decode())
    raise NoWebhookError(job_id)


def send_test(store: JobStore, owner: str, url: str, host: str) -> WebhookTest:
    """Have a sender post a test to the URL, signed with the secrets of the owner; return what came of it.

    Raises SenderUnavailableError when no sender takes it; it is not sent later.
    """
    test_id, attempt_s = f"test_{secrets.token_hex(_ID_BYTES)}", store.settings.webhook_timeout_s + _START_S
    args = {"id": test_id, "owner": owner, "url": url, "host": host, "event": TEST_EVENT}
    store.run("test_webhook", args | {"ttl_ms": int(1000 * (_START_S + attempt_s))})
    log = _begun(store, test_id, time.monotonic() + _START_S)
    if log is None:
        raise SenderUnavailableError(_START_S)
    log = _ended(store, test_id, log, time.monotonic() + attempt_s)
    return WebhookTest(log.message_id, log.attempts[0], log.status)


def _begun(store: JobStore, test_id: str, until: float) -> DeliveryLog | None:
    """Wait until the attempt has begun; withdraw the test if no sender begins it."""
    while True:
        log = read_log(store, test_id)
        if log and log.attempts:
            return log
        if time.monotonic() > until:
            with store_errors():
                store.redis.unlink(job_key(test_id, "delivery"))
            return None
        time.sleep(_POLL_S)


def _ended(store: JobStore, test_id: str, log: DeliveryLog, until: float) -> DeliveryLog:
    """Wait until the attempt has ended; its sender may have died."""
    while log.attempts[0].duration_ms is None and time.monotonic() < until:
        time.sleep(_POLL_S)
        log = read_log(store, test_id) or log
    return log
