"""Real senders, each in a process, and a real receiver."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import signal
import subprocess
import sys
from itertools import pairwise

import pytest
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from local.processes import ROOT
from tasks.store import deliveries
from tasks.store.deliveries import DeliveryLog
from tasks.store.jobs import JobStore
from tasks.store.keys import DELIVERY_TURNS, deliveries_key
from tasks.vocabulary.webhooks import DeliveryStatus
from tests.conftest import eventually
from tests.webhooks.conftest import StartSender
from tests.webhooks.jobs import finished
from tests.webhooks.receiver import Receiver, receiving

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
NEXT_SECRET = "whsec_" + base64.b64encode(b"n" * 32).decode()


def completed(store: JobStore, job_id: str) -> DeliveryLog:
    """Wait until a delivery is no longer pending; return its log."""

    def look() -> DeliveryLog | None:
        log = deliveries.read_log(store, job_id)
        return log if log and log.status is not DeliveryStatus.PENDING else None

    log = eventually(look)
    assert log is not None
    return log


def shown_secrets(redis_url: str, *words: str, **variables: str) -> list[str]:
    """Return what `python -m webhooks secret` prints, by line."""
    command = [sys.executable, "-m", "webhooks", "secret", *words]
    env = os.environ | {"REDIS_URL": redis_url} | variables
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_delivery_is_thin_and_signed(
    store: JobStore, receiver: Receiver, start_sender: StartSender
) -> None:
    start_sender(SENTIMENT_WEBHOOK_SECRET=SECRET)
    job_id = finished(store, receiver.url)
    assert completed(store, job_id).status is DeliveryStatus.DELIVERED
    (received,) = receiver.received
    payload = Verifier(SECRET).verify(received.body, received.headers)
    assert (payload["type"], payload["data"]["id"], payload["data"]["status"]) == (
        *("job.succeeded", job_id, "succeeded"),
    )
    assert payload["data"]["counts"] == {
        "total": 1,
        "succeeded": 1,
        "failed": 0,
        "timed_out": 0,
        "canceled": 0,
    }
    assert payload["data"]["links"]["results"] == f"/v1/jobs/{job_id}/results"
    assert "服务" not in received.body.decode()
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(received.body.replace(b"succeeded", b"failed"), received.headers)


def test_what_is_leased_is_sent_even_if_the_heartbeat_fails(
    store: JobStore, receiver: Receiver, start_sender: StartSender
) -> None:
    job_id = finished(store, receiver.url)
    keys = ("job:*", "deliver*", "answer:*", "counters", "webhook_secret")
    store.redis.execute_command("ACL", "SETUSER", "default", "resetkeys", *(f"~sentiq:{key}" for key in keys))
    start_sender()
    log = completed(store, job_id)
    assert (log.status, len(log.attempts)) == (DeliveryStatus.DELIVERED, 1)


def test_the_signature_follows_the_standard(
    store: JobStore, receiver: Receiver, start_sender: StartSender
) -> None:
    start_sender(SENTIMENT_WEBHOOK_SECRET=f"{SECRET} {NEXT_SECRET}")
    completed(store, finished(store, receiver.url))
    (received,) = receiver.received
    signed = f"{received.headers['webhook-id']}.{received.headers['webhook-timestamp']}.".encode()
    assert received.headers["webhook-signature"].split(" ") == [
        "v1," + base64.b64encode(hmac.digest(key * 32, signed + received.body, hashlib.sha256)).decode()
        for key in (b"k", b"n")
    ]


def test_a_secret_is_generated_once_and_printed(
    store: JobStore, redis_url: str, receiver: Receiver, start_sender: StartSender
) -> None:
    start_sender()
    completed(store, finished(store, receiver.url))
    (shown,) = shown_secrets(redis_url)
    (received,) = receiver.received
    Verifier(shown).verify(received.body, received.headers)


def test_each_key_has_a_secret_of_its_own(
    store: JobStore, redis_url: str, receiver: Receiver, start_sender: StartSender
) -> None:
    """Whoever verifies the deliveries of one key cannot sign those of another."""
    start_sender(SENTIMENT_WEBHOOK_SECRET=SECRET)
    (service,) = shown_secrets(redis_url, SENTIMENT_WEBHOOK_SECRET=SECRET)
    secrets = {"": service}
    for key_id in ("0123abcd", "89abcdef"):
        (secrets[key_id],) = shown_secrets(redis_url, key_id, SENTIMENT_WEBHOOK_SECRET=SECRET)
    assert service == SECRET
    assert len(set(secrets.values())) == len(secrets)
    for owner, secret in secrets.items():
        completed(store, finished(store, receiver.url, owner=owner))
        received = receiver.received[-1]
        Verifier(secret).verify(received.body, received.headers)
        for other in set(secrets.values()) - {secret}:
            with pytest.raises(WebhookVerificationError):
                Verifier(other).verify(received.body, received.headers)


def test_a_new_secret_of_the_service_replaces_those_of_keys_without_a_gap(
    store: JobStore, redis_url: str, receiver: Receiver, start_sender: StartSender
) -> None:
    (old,) = shown_secrets(redis_url, "0123abcd", SENTIMENT_WEBHOOK_SECRET=SECRET)
    both = shown_secrets(redis_url, "0123abcd", SENTIMENT_WEBHOOK_SECRET=f"{NEXT_SECRET} {SECRET}")
    assert both[1:] == [old]
    start_sender(SENTIMENT_WEBHOOK_SECRET=f"{NEXT_SECRET} {SECRET}")
    completed(store, finished(store, receiver.url, owner="0123abcd"))
    (received,) = receiver.received
    for secret in both:
        Verifier(secret).verify(received.body, received.headers)


def test_a_receiver_that_is_down_is_tried_again_with_growing_delays(
    store: JobStore, start_sender: StartSender
) -> None:
    with receiving(Receiver([503, 500, 404, 200])) as receiver:
        start_sender()
        log = completed(store, finished(store, receiver.url))
    assert log.status is DeliveryStatus.DELIVERED
    assert [attempt.status_code for attempt in log.attempts] == [503, 500, 404, 200]
    assert len({received.headers["webhook-id"] for received in receiver.received}) == 1
    times = [received.at for received in receiver.received]
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert all(wait >= delay for wait, delay in zip(waits, (0.2, 0.4, 0.8), strict=True))


def test_the_number_of_attempts_is_bounded(store: JobStore, start_sender: StartSender) -> None:
    with receiving(Receiver([500])) as receiver:
        start_sender()
        log = completed(store, finished(store, receiver.url))
    assert (log.status, len(log.attempts), len(receiver.received)) == (DeliveryStatus.EXHAUSTED, 4, 4)
    assert not store.redis.exists(deliveries_key(""), DELIVERY_TURNS)


def test_a_receiver_that_answers_410_is_tried_once(store: JobStore, start_sender: StartSender) -> None:
    with receiving(Receiver([410])) as receiver:
        start_sender()
        log = completed(store, finished(store, receiver.url))
    assert (log.status, len(receiver.received)) == (DeliveryStatus.GONE, 1)


def test_a_redirect_is_not_followed(store: JobStore, receiver: Receiver, start_sender: StartSender) -> None:
    with receiving(Receiver([302, 307, 301, 308], location=receiver.url)) as elsewhere:
        start_sender()
        log = completed(store, finished(store, elsewhere.url))
    assert [attempt.status_code for attempt in log.attempts] == [302, 307, 301, 308]
    assert log.status is DeliveryStatus.EXHAUSTED
    assert not receiver.received


def test_a_receiver_that_stalls_times_out_and_delays_no_other(
    store: JobStore, receiver: Receiver, start_sender: StartSender
) -> None:
    with receiving(Receiver([0])) as stalling:
        start_sender(
            SENTIMENT_WEBHOOK_TIMEOUT_S="1.5",
            SENTIMENT_WEBHOOK_RETRIES_S="",
            SENTIMENT_WEBHOOK_ALLOW="127.0.0.1,localhost",
        )
        slow = [finished(store, stalling.url) for _ in range(40)]
        quick = finished(store, receiver.url.replace("127.0.0.1", "localhost"))
        assert completed(store, quick).status is DeliveryStatus.DELIVERED
        behind = deliveries.read_log(store, slow[-1])
        log = completed(store, slow[0])
    assert behind is not None
    assert not behind.attempts, "quick was due last; a slow host has few attempts at a time"
    assert [attempt.error for attempt in log.attempts] == ["timed_out"]
    assert 1500 <= (log.attempts[0].duration_ms or 0) < 4000


def test_a_killed_sender_loses_nothing(
    store: JobStore, receiver: Receiver, start_sender: StartSender
) -> None:
    """The next sender sends what was waiting at once, and what was leased when the lease ends."""
    with receiving(Receiver([0])) as stalling:
        sender = start_sender()
        held = finished(store, stalling.url)
        eventually(lambda: stalling.received)
        sender.kill()
        sender.wait()
        stalling.statuses = [204]
        waiting = finished(store, receiver.url)
        start_sender()
        assert completed(store, waiting).status is DeliveryStatus.DELIVERED
        log = deliveries.read_log(store, held)
        assert log is not None
        assert log.status is DeliveryStatus.PENDING
        store.redis.zadd(deliveries_key(""), {held: 1})  # end the lease
        store.redis.zadd(DELIVERY_TURNS, {"": 1})
        log = completed(store, held)
    assert [(each.status_code, each.error) for each in log.attempts] == [(None, "interrupted"), (204, None)]
    assert len({each.headers["webhook-id"] for each in stalling.received}) == 1


def test_two_senders_send_each_delivery_once(
    store: JobStore, receiver: Receiver, start_sender: StartSender
) -> None:
    start_sender()
    start_sender()
    job_ids = [finished(store, receiver.url) for _ in range(100)]
    for job_id in job_ids:
        assert completed(store, job_id).status is DeliveryStatus.DELIVERED
    assert sorted(each.json["data"]["id"] for each in receiver.received) == sorted(job_ids)


def test_a_stop_waits_for_attempts_in_progress(store: JobStore, start_sender: StartSender) -> None:
    with receiving(Receiver([0])) as stalling:
        sender = start_sender(SENTIMENT_WEBHOOK_TIMEOUT_S="2")
        job_id = finished(store, stalling.url)
        eventually(lambda: stalling.received)
        sender.send_signal(signal.SIGTERM)
        assert sender.wait(10) == 0
    log = deliveries.read_log(store, job_id)
    assert log is not None
    assert [attempt.error for attempt in log.attempts] == ["timed_out"]


def test_a_sender_waits_while_redis_is_stopped(
    store: JobStore, receiver: Receiver, start_sender: StartSender
) -> None:
    sender = start_sender()
    completed(store, finished(store, receiver.url))
    pid = store.redis.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(subprocess.TimeoutExpired):
        sender.wait(4)
    os.kill(pid, signal.SIGCONT)
    assert completed(store, finished(store, receiver.url)).status is DeliveryStatus.DELIVERED
