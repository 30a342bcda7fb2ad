"""Real senders, in processes of their own, and a real receiver."""

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
from tasks.store.keys import DELIVERIES
from tasks.vocabulary.webhooks import DeliveryStatus
from tests.conftest import eventually
from tests.webhooks.conftest import StartSender
from tests.webhooks.jobs import ended
from tests.webhooks.receiver import Receiver, receiving

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
NEXT_SECRET = "whsec_" + base64.b64encode(b"n" * 32).decode()


def settled(store: JobStore, job_id: str) -> DeliveryLog:
    """Wait until nothing more will happen to a delivery."""

    def look() -> DeliveryLog | None:
        log = deliveries.read_log(store, job_id)
        return log if log and log.status is not DeliveryStatus.PENDING else None

    log = eventually(look)
    assert log is not None
    return log


def test_a_delivery_is_thin_and_signed(
    store: JobStore, receiver: Receiver, start_sender: StartSender
) -> None:
    start_sender(SENTIMENT_WEBHOOK_SECRET=SECRET)
    job_id = ended(store, receiver.url)
    assert settled(store, job_id).status is DeliveryStatus.DELIVERED
    (received,) = receiver.received
    told = Verifier(SECRET).verify(received.body, received.headers)
    assert (told["type"], told["data"]["id"], told["data"]["status"]) == (
        *("job.succeeded", job_id, "succeeded"),
    )
    assert told["data"]["counts"] == {"total": 1, "succeeded": 1, "failed": 0, "timed_out": 0, "canceled": 0}
    assert told["data"]["links"]["results"] == f"/v1/jobs/{job_id}/results"
    assert "服务" not in received.body.decode()
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(received.body.replace(b"succeeded", b"failed"), received.headers)


def test_the_signature_is_what_the_standard_says(
    store: JobStore, receiver: Receiver, start_sender: StartSender
) -> None:
    start_sender(SENTIMENT_WEBHOOK_SECRET=f"{SECRET} {NEXT_SECRET}")
    settled(store, ended(store, receiver.url))
    (received,) = receiver.received
    signed = f"{received.headers['webhook-id']}.{received.headers['webhook-timestamp']}.".encode()
    assert received.headers["webhook-signature"].split(" ") == [
        "v1," + base64.b64encode(hmac.digest(key * 32, signed + received.body, hashlib.sha256)).decode()
        for key in (b"k", b"n")
    ]


def test_a_secret_is_made_once_and_shown(
    store: JobStore, redis_url: str, receiver: Receiver, start_sender: StartSender
) -> None:
    start_sender()
    settled(store, ended(store, receiver.url))
    shown = subprocess.run(
        *([sys.executable, "-m", "webhooks", "secret"],),
        cwd=ROOT, env=os.environ | {"REDIS_URL": redis_url}, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    (received,) = receiver.received
    Verifier(shown).verify(received.body, received.headers)


def test_a_receiver_that_is_down_is_tried_again_later_and_later(
    store: JobStore, start_sender: StartSender
) -> None:
    with receiving(Receiver([503, 500, 404, 200])) as receiver:
        start_sender()
        log = settled(store, ended(store, receiver.url))
    assert log.status is DeliveryStatus.DELIVERED
    assert [attempt.status_code for attempt in log.attempts] == [503, 500, 404, 200]
    assert len({received.headers["webhook-id"] for received in receiver.received}) == 1
    times = [received.at for received in receiver.received]
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert all(wait >= delay for wait, delay in zip(waits, (0.2, 0.4, 0.8), strict=True))


def test_attempts_end(store: JobStore, start_sender: StartSender) -> None:
    with receiving(Receiver([500])) as receiver:
        start_sender()
        log = settled(store, ended(store, receiver.url))
    assert (log.status, len(log.attempts), len(receiver.received)) == (DeliveryStatus.EXHAUSTED, 4, 4)
    assert not store.redis.zcard(DELIVERIES)


def test_a_receiver_that_is_gone_is_asked_once(store: JobStore, start_sender: StartSender) -> None:
    with receiving(Receiver([410])) as receiver:
        start_sender()
        log = settled(store, ended(store, receiver.url))
    assert (log.status, len(receiver.received)) == (DeliveryStatus.GONE, 1)


def test_a_redirect_is_not_followed(store: JobStore, receiver: Receiver, start_sender: StartSender) -> None:
    with receiving(Receiver([302, 307, 301, 308], location=receiver.url)) as elsewhere:
        start_sender()
        log = settled(store, ended(store, elsewhere.url))
    assert [attempt.status_code for attempt in log.attempts] == [302, 307, 301, 308]
    assert log.status is DeliveryStatus.EXHAUSTED
    assert not receiver.received


def test_a_receiver_that_stalls_costs_the_time_allowed_and_holds_up_no_other(
    store: JobStore, receiver: Receiver, start_sender: StartSender
) -> None:
    with receiving(Receiver([0])) as stalling:
        start_sender(
            SENTIMENT_WEBHOOK_TIMEOUT_S="1.5",
            SENTIMENT_WEBHOOK_RETRIES_S="",
            SENTIMENT_WEBHOOK_ALLOW="127.0.0.1,localhost",
        )
        slow = [ended(store, stalling.url) for _ in range(40)]
        quick = ended(store, receiver.url.replace("127.0.0.1", "localhost"))
        assert settled(store, quick).status is DeliveryStatus.DELIVERED
        behind = deliveries.read_log(store, slow[-1])
        log = settled(store, slow[0])
    assert behind is not None
    assert not behind.attempts, "quick was due last, and slow receivers are waited for a few at a time"
    assert [attempt.error for attempt in log.attempts] == ["timed_out"]
    assert 1500 <= (log.attempts[0].duration_ms or 0) < 4000


def test_a_killed_sender_loses_nothing(
    store: JobStore, receiver: Receiver, start_sender: StartSender
) -> None:
    """What it had not begun is sent by the next; what it held is due again when its lease is over."""
    with receiving(Receiver([0])) as stalling:
        sender = start_sender()
        held = ended(store, stalling.url)
        eventually(lambda: stalling.received)
        sender.kill()
        sender.wait()
        stalling.statuses = [204]
        waiting = ended(store, receiver.url)
        start_sender()
        assert settled(store, waiting).status is DeliveryStatus.DELIVERED
        log = deliveries.read_log(store, held)
        assert log is not None
        assert log.status is DeliveryStatus.PENDING
        store.redis.zadd(DELIVERIES, {held: 1})  # the lease is over
        log = settled(store, held)
    assert [(each.status_code, each.error) for each in log.attempts] == [(None, "interrupted"), (204, None)]
    assert len({each.headers["webhook-id"] for each in stalling.received}) == 1


def test_two_senders_send_each_delivery_once(
    store: JobStore, receiver: Receiver, start_sender: StartSender
) -> None:
    start_sender()
    start_sender()
    job_ids = [ended(store, receiver.url) for _ in range(100)]
    for job_id in job_ids:
        assert settled(store, job_id).status is DeliveryStatus.DELIVERED
    assert sorted(each.json["data"]["id"] for each in receiver.received) == sorted(job_ids)


def test_a_stop_lets_what_has_begun_end(store: JobStore, start_sender: StartSender) -> None:
    with receiving(Receiver([0])) as stalling:
        sender = start_sender(SENTIMENT_WEBHOOK_TIMEOUT_S="2")
        job_id = ended(store, stalling.url)
        eventually(lambda: stalling.received)
        sender.send_signal(signal.SIGTERM)
        assert sender.wait(10) == 0
    log = deliveries.read_log(store, job_id)
    assert log is not None
    assert [attempt.error for attempt in log.attempts] == ["timed_out"]


def test_a_stopped_redis_is_waited_for(
    store: JobStore, receiver: Receiver, start_sender: StartSender
) -> None:
    sender = start_sender()
    settled(store, ended(store, receiver.url))
    pid = store.redis.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(subprocess.TimeoutExpired):
        sender.wait(4)
    os.kill(pid, signal.SIGCONT)
    assert settled(store, ended(store, receiver.url)).status is DeliveryStatus.DELIVERED
