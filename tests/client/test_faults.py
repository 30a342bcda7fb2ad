"""Connections that break, and services that ask to come back later."""

from __future__ import annotations

import csv
import io
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from email.utils import formatdate

import pytest
from sentiq import (
    BadRequestError,
    BusyError,
    Item,
    Job,
    Sentiq,
    SentiqConnectionError,
    SentiqError,
    ServiceError,
    UploadError,
)

from local.ports import free_port
from tests.client.proxy import Plan, proxied, response
from tests.client.test_jobs import GOOD, texts
from tests.conftest import eventually

# Gzip cannot shrink their data, so a number of bytes is about a number of items.
ITEMS = [Item(GOOD, id=str(number), data={"n": uuid.uuid4().hex}) for number in range(9000)]
LINES = [
    json.dumps({"text": item.text, "id": item.id, "data": item.data}).encode() + b"\n"
    for item in ITEMS[:4000]
]
PROBLEM = {"content_type": "application/problem+json"}


def problem(code: str, **more: object) -> bytes:
    return json.dumps({"code": code, "detail": "Not now.", "request_id": "r1", **more}).encode()


@pytest.mark.parametrize("kind", [list, iter], ids=["list", "iterator"])
def test_an_upload_that_is_cut_is_resumed_where_it_was(
    live_url: str, kind: Callable[[list[Item]], Iterator[Item]]
) -> None:
    with proxied(live_url, Plan(cut_up=150_000)) as proxy, Sentiq(proxy.url) as client:
        job = client.submit(kind(ITEMS))
        assert job.counts.total == len(ITEMS)
        received = b"".join(bytes(each) for each in proxy.received[1:])
        job.cancel()
        assert [event.event for event in job.events()][-1] == "done"
        job.delete()
    assert received.count(b"from_index=") == 1
    with proxied(live_url) as proxy, Sentiq(proxy.url) as client:
        client.submit(ITEMS).delete()
        assert len(received) < len(proxy.received[0])


def test_what_is_resumed_is_scored_once_and_in_order(live_url: str) -> None:
    cuts = [Plan(cut_up=size) for size in (30_000, 30_000, 60_000)]
    with proxied(live_url, *cuts) as proxy, Sentiq(proxy.url) as client:
        job = client.submit(iter(ITEMS[:5000]))
        results = [(result.id, result.data) for result in job.wait(timeout=100).results()]
        assert results == [(item.id, item.data) for item in ITEMS[:5000]]
        assert len(proxy.received) > len(cuts)
        job.delete()


def test_a_submission_whose_answer_got_lost_is_one_job(live_url: str) -> None:
    for given in (GOOD, texts(700)):
        tag = uuid.uuid4().hex
        with proxied(live_url, Plan(cut_down=20)) as proxy, Sentiq(proxy.url) as client:
            job = client.submit(given, metadata={"tag": tag})
            assert [each.id for each in client.jobs(metadata={"tag": tag})] == [job.id]
            assert len(proxy.received) > 1


def test_bytes_that_can_be_read_again_are_sent_again(live_url: str) -> None:
    with proxied(live_url, Plan(cut_up=50_000)) as proxy, Sentiq(proxy.url) as client:
        job = client.upload(LINES)
        assert job.counts.total == len(LINES)
        job.delete()


def test_bytes_of_an_iterator_are_resumed_by_the_caller(live_url: str) -> None:
    key = uuid.uuid4().hex
    with proxied(live_url, Plan(cut_up=50_000)) as proxy, Sentiq(proxy.url) as client:
        with pytest.raises(UploadError, match=key) as caught:
            client.upload(iter(LINES), idempotency_key=key)
        assert caught.value.problem["idempotency_key"] == key
        # The service may still be at what came before the cut.
        recorded = eventually(lambda: client.recorded(key))
        assert recorded < len(LINES)
        job = client.upload(iter(LINES[recorded:]), idempotency_key=key, from_index=recorded)
        assert job.counts.total == client.recorded(key) == len(LINES)
        with pytest.raises(UploadError) as wrong:
            client.upload(LINES[5:], idempotency_key=key, from_index=5)
        assert (wrong.value.code, wrong.value.recorded) == ("upload_offset", len(LINES))
        job.delete()
        assert client.recorded(uuid.uuid4().hex) == 0


def by_rows(job: Job) -> Sequence[str | None]:
    rows = csv.reader(io.StringIO(b"".join(job.results_csv(columns="index,id")).decode()))
    return [row[1] for row in rows][1:]


READERS: dict[str, Callable[[Job], Sequence[str | None]]] = {
    "lines": lambda job: [result.id for result in job.results()],
    "follower": lambda job: sorted(
        (result.id for result in job.results(follow=True)), key=lambda each: int(each or 0)
    ),
    "rows": by_rows,
}


@pytest.fixture(scope="module")
def finished(live: object) -> Iterator[str]:
    with Sentiq(live.url) as client:  # type: ignore[attr-defined]
        job = client.submit(ITEMS[:5000]).wait(timeout=100)
        yield job.id
        job.delete()


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_download_that_is_cut_goes_on_where_it_was(
    live_url: str, finished: str, read: Callable[[Job], Sequence[str | None]]
) -> None:
    cuts = [Plan(cut_down=size) for size in (300, 4_000, 2_500, 4_000, 1_500, 4_000)]
    with proxied(live_url, *cuts) as proxy, Sentiq(proxy.url) as client:
        assert read(client.job(finished)) == [item.id for item in ITEMS[:5000]]
        assert len(proxy.received) > len(cuts)


def test_what_is_sent_and_received_is_compressed(live_url: str) -> None:
    given = texts(2000)
    with proxied(live_url) as proxy, Sentiq(proxy.url) as client:
        job = client.submit(given)
        sent = len(proxy.received[0])
        assert b"content-encoding: gzip" in bytes(proxy.received[0]).lower()
        assert sent < len("".join(given).encode()) / 3
        job.wait(timeout=60)
        before = len(proxy.sent[0])
        plain = sum(len(json.dumps(item, ensure_ascii=False).encode()) for item in job.raw_results())
        assert len(proxy.sent[0]) - before < plain / 4


def test_events_go_on_behind_the_last_one(live_url: str) -> None:
    with proxied(live_url, Plan(), Plan(cut_down=2_000)) as proxy, Sentiq(proxy.url) as client:
        job = client.submit(texts(2000))
    with proxied(live_url, Plan(cut_down=3_500), Plan(cut_down=2_000)) as proxy, Sentiq(proxy.url) as client:
        events = [event.event for event in client.job(job.id).events()]
        assert (events[0], events[-1]) == ("snapshot", "done")
        assert b"last-event-id" in b"".join(bytes(each) for each in proxy.received)


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_retry_after_is_honoured(live_url: str, status: str) -> None:
    for dated in (False, True):
        when = formatdate(time.time() + 3, usegmt=True) if dated else "1"
        answer = response(status, problem("rate_limited"), retry_after=when, **PROBLEM)
        with proxied(live_url, Plan(answer=answer)) as proxy, Sentiq(proxy.url) as client:
            begun = time.monotonic()
            assert client.submit(GOOD).counts.total == 1
            assert time.monotonic() - begun > 0.9
            assert len(proxy.received) == 2


def test_many_texts_wait_for_room_by_reading_what_is_scored(live_url: str) -> None:
    """The service has no room for the second batch; the first one is read meanwhile, and no text is lost."""
    full = response("503 Service Unavailable", problem("service_full"), retry_after="3600", **PROBLEM)
    with proxied(live_url) as proxy, Sentiq(proxy.url) as client:

        def given() -> Iterator[str]:
            for number, text in enumerate(texts(500)):
                if number == 64:  # the first batch is submitted
                    proxy.interrupt(Plan(answer=full))
                yield text

        verdicts = client.score(given())
        assert [verdict.index for verdict in verdicts] == list(range(500))
        assert len(proxy.received) == 3


def test_a_refused_batch_is_submitted_again_when_nothing_else_is_left_to_read(live_url: str) -> None:
    full = response("503 Service Unavailable", problem("service_full"), retry_after="3600", **PROBLEM)
    with proxied(live_url) as proxy, Sentiq(proxy.url) as client:

        def given() -> Iterator[str]:
            for number, text in enumerate(texts(300)):
                if number == 64 + 128:  # two batches are submitted
                    proxy.interrupt(Plan(answer=full))
                yield text

        assert [verdict.index for verdict in client.score(given())] == list(range(300))
        calls = re.findall(rb"(?:POST|DELETE) /v1/jobs", bytes(proxy.received[2]))
    assert calls == [b"DELETE /v1/jobs", b"DELETE /v1/jobs", b"POST /v1/jobs", b"DELETE /v1/jobs"]


def test_a_wait_longer_than_retries_last_is_an_error_at_once(live_url: str) -> None:
    answer = response("429 Too Many Requests", problem("quota_exceeded"), retry_after="3600", **PROBLEM)
    with proxied(live_url, Plan(answer=answer)) as proxy, Sentiq(proxy.url, retry_for=60) as client:
        with pytest.raises(BusyError) as caught:
            client.submit(texts(3))
        assert (caught.value.code, caught.value.retry_after) == ("quota_exceeded", 3600)
        assert (caught.value.status, caught.value.request_id) == (429, "r1")
        assert len(proxy.received) == 1


def test_a_refusal_is_not_repeated(live_url: str) -> None:
    for status, kind in (("500 Internal Server Error", ServiceError), ("422 No", BadRequestError)):
        answer = response(status, problem("internal_error"), **PROBLEM)
        with proxied(live_url, Plan(answer=answer)) as proxy, Sentiq(proxy.url) as client:
            with pytest.raises(kind, match="Not now"):
                client.submit(GOOD)
            assert len(proxy.received) == 1


def test_an_unknown_code_and_status_are_the_base_error(live_url: str) -> None:
    answer = response("418 Teapot", problem("new_code", errors=[{"pointer": "/a", "code": "b"}]), **PROBLEM)
    with proxied(live_url, Plan(answer=answer)) as proxy, Sentiq(proxy.url) as client:
        with pytest.raises(SentiqError) as caught:
            client.info()
        assert type(caught.value) is SentiqError
        assert (caught.value.code, caught.value.errors) == ("new_code", [{"pointer": "/a", "code": "b"}])


def test_a_service_that_is_away_is_told() -> None:
    with Sentiq(f"http://127.0.0.1:{free_port()}", retry_for=1) as client:
        assert not client.ready()
        with pytest.raises(SentiqConnectionError, match="ConnectError"):
            client.submit(GOOD)


def test_an_error_of_the_callers_own_iterable_reaches_the_caller(client: Sentiq) -> None:
    def broken() -> Iterator[str]:
        yield from texts(100)
        raise LookupError("no more texts")

    with pytest.raises(LookupError, match="no more texts"):
        client.submit(broken())
    with pytest.raises(LookupError, match="no more texts"):
        list(client.score(broken()))


def test_what_was_sent_before_the_callers_iterable_raised_can_be_resumed(client: Sentiq) -> None:
    def broken() -> Iterator[Item]:
        yield from ITEMS[:5000]
        raise LookupError("no more texts")

    key = uuid.uuid4().hex
    with pytest.raises(LookupError):
        client.submit(broken(), idempotency_key=key)
    assert eventually(lambda: client.recorded(key)) < 5000  # the service may still be at what came
    job = client.submit(ITEMS[:5000], idempotency_key=key)
    assert job.counts.total == 5000
    job.delete()


def test_an_upload_that_repeats_itself_is_not_refused_as_a_bomb(client: Sentiq) -> None:
    job = client.submit(Item("好" * 9000) for _ in range(300))
    assert job.counts.total == 300
    job.delete()


@pytest.mark.parametrize("key", ["a\nb", "键", "", "a" * 256])
def test_a_key_that_no_request_can_carry_is_refused_at_once(live_url: str, key: str) -> None:
    with proxied(live_url) as proxy, Sentiq(proxy.url) as client:
        for call in (
            lambda: client.submit(GOOD, idempotency_key=key),
            lambda: client.upload(LINES, idempotency_key=key),
            lambda: client.recorded(key),
        ):
            with pytest.raises(BadRequestError, match="1 to 255 visible ASCII"):
                call()
        assert proxy.received == []


def test_a_request_that_cannot_be_sent_is_not_repeated(client: Sentiq) -> None:
    with pytest.raises(BadRequestError, match="cannot be sent"):
        client.upload(LINES, content_type="text/csv\n")


def answered(job: Job) -> Plan:
    """The service's answer about a job, after which the connection ends."""
    return Plan(answer=response("200 OK", json.dumps(job.raw).encode()))


def test_a_wait_ends_with_its_timeout_while_the_service_is_away(live_url: str, client: Sentiq) -> None:
    job = answered(client.submit(GOOD))
    away = response("503 Service Unavailable", problem("store_unavailable"), retry_after="5", **PROBLEM)
    with proxied(live_url, job, Plan(answer=away)) as proxy, Sentiq(proxy.url) as other:
        found = other.job("job_1")
        with pytest.raises(BusyError, match="store_unavailable"):
            found.wait(timeout=2)


def test_events_of_a_silent_job_are_awaited_for_longer_than_retries_last(
    live_url: str, client: Sentiq, finished: str
) -> None:
    job = answered(client.job(finished))
    silent = Plan(answer=response("200 OK", b": still here\n\n", content_type="text/event-stream"))
    with proxied(live_url, job, *[silent] * 6) as proxy, Sentiq(proxy.url, retry_for=1) as other:
        assert [event.event for event in other.job(finished).events()][-1] == "done"
        assert len(proxy.received) == 8
