"""The receivers of one owner do not delay the deliveries of another."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import redis

from tasks.store import deliveries
from tasks.store.jobs import JobStore
from tasks.vocabulary.webhooks import DeliveryStatus
from tests.conftest import eventually
from tests.webhooks.conftest import StartSender
from tests.webhooks.jobs import finished, lease
from tests.webhooks.receiver import Receiver

PATIENT_S = 2  # a tenth of what the dead receivers cost when they delay others


@contextmanager
def dead_receivers(addresses: list[str]) -> Iterator[list[str]]:
    """Give a URL at each address; connections are accepted by the system and never answered."""
    with ExitStack() as stack:
        urls = []
        for address in addresses:
            server = stack.enter_context(socket.create_server((address, 0), backlog=512))
            urls.append(f"http://{address}:{server.getsockname()[1]}/")
        yield urls


def await_delivered(store: JobStore, job_id: str, within_s: float) -> None:
    def look() -> bool:
        log = deliveries.read_log(store, job_id)
        return log is not None and log.status is DeliveryStatus.DELIVERED

    eventually(look, within_s=within_s)


@pytest.mark.parametrize(
    "hosts", [[f"127.0.0.{number}" for number in range(2, 22)], ["127.0.0.1"]], ids=["many", "same"]
)
def test_dead_receivers_of_one_owner_delay_no_other(
    store: JobStore, receiver: Receiver, start_sender: StartSender, hosts: list[str]
) -> None:
    """The hosts are more than the sender can call, or the one that the other owner uses."""
    start_sender(SENTIMENT_WEBHOOK_ALLOW="127.0.0.0/8", SENTIMENT_WEBHOOK_TIMEOUT_S="15")
    await_delivered(store, finished(store, receiver.url, owner="warm"), within_s=30)
    with dead_receivers(hosts) as urls:
        dead = [finished(store, urls[number % len(urls)], owner="hostile") for number in range(300)]
        eventually(lambda: deliveries.read_log(store, dead[15]).attempts)  # type: ignore[union-attr]
        time.sleep(0.5)  # until the sender makes as many attempts as it may
        await_delivered(store, finished(store, receiver.url, owner="honest"), within_s=PATIENT_S)


def test_owners_are_served_in_turn(store: JobStore) -> None:
    for owner, count in (("first", 40), ("second", 2), ("third", 1)):
        for _ in range(count):
            finished(store, "https://example.com/", owner=owner)
    time.sleep(0.002)  # turns of the same millisecond come by name
    served = [each.owner for _ in range(4) for each in lease(store, limit=2)]
    assert served[:2] == ["first", "second"]
    assert "third" in served[2:4]
    assert served.count("second") == 2


def test_an_owner_holds_no_more_attempts_than_remain_free(store: JobStore) -> None:
    for number in range(30):
        finished(store, f"https://{number}.example.com/", owner="greedy")
    assert len(lease(store, limit=16, free=16)) == 8
    assert lease(store, limit=8, free=8, held={"greedy": {"a": 5, "b": 3}}) == []
    late = finished(store, "https://example.com/", owner="late")
    (delivery,) = lease(store, limit=8, free=8, held={"greedy": {"a": 5, "b": 3}})
    assert delivery.job_id == late


def test_a_lease_whose_answer_is_lost_is_answered_again(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_ids = [finished(store, "https://example.com/") for _ in range(3)]
    lease(store, limit=1)
    lose_one_answer(monkeypatch)
    (delivery,) = lease(store, limit=1)
    assert (delivery.job_id, delivery.attempt) == (job_ids[1], 1)
    (last,) = lease(store)
    assert (last.job_id, last.attempt) == (job_ids[2], 1)


def lose_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Close the connection when Redis has served the next command and its answer has come."""
    read = redis.connection.AbstractConnection.read_response

    def read_and_lose(*args: object, **options: object) -> object:
        read(*args, **options)  # type: ignore[arg-type]
        monkeypatch.setattr(redis.connection.AbstractConnection, "read_response", read)
        raise redis.ConnectionError("lost")

    monkeypatch.setattr(redis.connection.AbstractConnection, "read_response", read_and_lose)
