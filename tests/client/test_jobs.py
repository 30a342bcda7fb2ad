"""The client against the real service: texts in, verdicts out."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sentiq import (
    BadRequestError,
    ConflictError,
    Counts,
    GoneError,
    Item,
    NotFoundError,
    NoVerdictError,
    Sentiq,
    SentiqTimeoutError,
    Verdict,
)

from tests.conftest import eventually

GOOD, BAD = "服务很贴心", "这家餐厅太难吃了"


def texts(count: int) -> list[str]:
    return [f"第{number}次来，{GOOD if number % 2 else BAD}" for number in range(count)]


def test_a_text_has_a_verdict(client: Sentiq) -> None:
    verdict = client.score(BAD)
    assert isinstance(verdict, Verdict)
    assert (verdict.label, verdict.label_zh, verdict.ok) == ("negative", "负面", True)
    assert verdict.confidence
    assert 0.5 < verdict.confidence <= 1
    assert verdict.raw["chars"] == len(BAD)


def test_a_text_that_cannot_be_scored_is_an_error(client: Sentiq) -> None:
    with pytest.raises(NoVerdictError, match="empty_text"):
        client.score(" ")


def test_terms_are_passed_on(client: Sentiq) -> None:
    verdict = client.score(f"{BAD}，{GOOD}", explain=True, sentences=True)
    assert verdict.highlights
    assert verdict.sentences
    with pytest.raises(BadRequestError) as caught:
        client.score(BAD, deadline_s=0)
    assert [error["pointer"] for error in caught.value.errors] == ["/deadline_s"]
    assert (caught.value.status, caught.value.code) == (422, "invalid_request")
    assert caught.value.request_id


def test_many_texts_are_scored_in_their_order(client: Sentiq) -> None:
    given = texts(500)
    given[77] = " "
    scored = list(client.score(given))
    assert [verdict.index for verdict in scored] == list(range(500))
    assert [verdict.raw["chars"] for verdict in scored] == [len(text) for text in given]
    assert scored[77].error
    assert (scored[77].error.code, scored[77].ok) == ("empty_text", False)


def test_texts_are_taken_as_verdicts_are_needed(client: Sentiq) -> None:
    taken = 0

    def endless() -> Iterator[Item]:
        nonlocal taken
        while True:
            taken += 1
            yield Item(GOOD, id=str(taken))

    verdicts = client.score(endless())
    assert taken == 0
    assert next(verdicts).id == "1"
    early = taken
    for number in range(2, 200):
        assert next(verdicts).id == str(number)
    assert early < 2000
    assert taken < 10_000
    verdicts.close()  # type: ignore[attr-defined]


def test_nothing_is_left_of_scored_batches(client: Sentiq) -> None:
    tag = uuid.uuid4().hex
    assert sum(1 for _ in client.score(texts(300), metadata={"tag": tag})) == 300
    assert list(client.jobs(metadata={"tag": tag})) == []
    verdicts = client.score(texts(300), metadata={"tag": tag})
    next(verdicts)
    verdicts.close()  # type: ignore[attr-defined]
    assert list(client.jobs(metadata={"tag": tag})) == []


def test_a_job_is_submitted_waited_for_and_read(client: Sentiq) -> None:
    items = [Item(text, id=f"r{number}", data={"shop": number % 3}) for number, text in enumerate(texts(90))]
    job = client.submit(iter(items), summarize_by="shop", metadata={"batch": "7"})
    assert job.metadata == {"batch": "7"}
    seen: list[Counts] = []
    assert job.wait(timeout=60, progress=seen.append).status == "succeeded"
    assert seen[-1].finished == job.counts.total == 90
    results = list(job.results())
    assert [result.id for result in results] == [item.id for item in items]
    assert [result.data for result in results] == [item.data for item in items]
    assert [group["items"] for group in job.summary(by="shop")["groups"]] == [30, 30, 30]
    assert {result["index"] for result in job.raw_results(follow=True)} == set(range(90))
    assert [event.event for event in job.events()] == ["snapshot", "done"]
    assert job.deliveries() == []
    assert repr(job) == f"<Job {job.id} succeeded 90/90>"


def test_a_follower_gets_what_finishes(client: Sentiq) -> None:
    job = client.submit(texts(1500))
    assert sorted(result.index for result in job.results(follow=True)) == list(range(1500))
    assert job.refresh().finished


def test_results_are_read_in_segments(client: Sentiq) -> None:
    job = client.submit([*texts(4500), " "]).wait(timeout=100)
    assert [result.index for result in job.results()] == list(range(4501))
    assert [result.index for result in job.results(status="failed")] == [4500]
    rows = list(csv.reader(io.StringIO(b"".join(job.results_csv(columns="index,label")).decode())))
    assert rows[0] == ["index", "label"]
    assert [row[0] for row in rows[1:]] == [str(number) for number in range(4501)]
    marked = b"".join(job.results_csv(columns="index", bom=True))
    assert marked.startswith("\ufeffindex\r\n0\r\n".encode())
    assert marked.count(b"index") == 1


def test_bytes_are_uploaded(client: Sentiq) -> None:
    table = b'review,"the\nshop"\n' + b"".join(f"{text},{i}\n".encode() for i, text in enumerate(texts(50)))
    job = client.upload(table, content_type="text/csv", text_column="review", metadata={"a": "1"})
    results = list(job.wait(timeout=60).results())
    assert results[3].data == {"the\nshop": "3"}
    whole = b"".join(job.results_csv())
    assert len(list(csv.reader(io.StringIO(whole.decode())))) == 51
    with pytest.raises(BadRequestError):
        client.upload([b'"a"\n', b"5\n"], strict=True)


def test_a_repeated_submission_makes_one_job(client: Sentiq) -> None:
    key = uuid.uuid4().hex
    for given in (GOOD, texts(10)):
        first = client.submit(given, idempotency_key=f"{key}{len(given)}")
        assert client.submit(given, idempotency_key=f"{key}{len(given)}").id == first.id
    with pytest.raises(BadRequestError, match="idempotency_key_reused"):
        client.submit(BAD, idempotency_key=f"{key}{len(GOOD)}")


def test_jobs_are_listed(client: Sentiq) -> None:
    tag, before = uuid.uuid4().hex, datetime.now(UTC) - timedelta(seconds=5)
    made = [client.submit(GOOD, metadata={"tag": tag}).id for _ in range(3)]
    assert [job.id for job in client.jobs(metadata={"tag": tag}, created_after=before)] == made[::-1]
    assert list(client.jobs(metadata={"tag": tag}, created_before=before)) == []


def test_a_job_is_canceled_retried_and_deleted(client: Sentiq) -> None:
    job = client.submit(texts(3000), deadline_s=3600)
    assert job.cancel().wait(timeout=30).status in ("canceled", "succeeded")
    with pytest.raises(ConflictError, match="nothing_to_retry"):
        client.submit(GOOD).wait().retry()
    job.delete()
    with pytest.raises(GoneError, match="job_deleted"):
        client.job(job.id)
    with pytest.raises(NotFoundError, match="job_not_found"):
        client.job("job_none")
    with pytest.raises(ConflictError, match="not_compared"):
        client.submit(GOOD).comparison()


def test_a_wait_ends_in_time(client: Sentiq) -> None:
    job = client.submit(texts(3000))
    with pytest.raises(SentiqTimeoutError, match=job.id):
        job.wait(timeout=0.1)
    job.cancel()
    eventually(lambda: job.refresh().finished)


def test_the_service_describes_itself(client: Sentiq) -> None:
    assert client.ready()
    assert client.models()[0]["default"]
    assert client.info()["service"] == "sentiq"
    assert client.queue()["workers"]["alive"] == 1


def test_other_values_than_texts_are_refused_with_their_type(client: Sentiq) -> None:
    with pytest.raises(TypeError, match="not int"):
        client.submit([GOOD, 5])  # type: ignore[list-item]


def test_half_of_a_surrogate_pair_spoils_one_text(client: Sentiq) -> None:
    assert [verdict.ok for verdict in client.score([GOOD, "好\ud83d"])] == [True, True]
    assert client.score("好\ud83d").ok
