"""The place of a traced request in records, and what the calls of tracing do while it is off."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest

from tasks.errors import ConfigurationError
from tasks.settings import Settings
from tasks.store import deliveries, leases
from tasks.store.jobs import JobStore
from tasks.store.keys import job_key
from tasks.store.retry import retry_terms
from tasks.tracing import trace
from tasks.tracing.span import NO_SPAN
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.codec import decode_chunk, encode_chunk
from tasks.vocabulary.items import Item
from tasks.vocabulary.jobs import QueueClass, Terms
from tasks.vocabulary.webhooks import Webhook
from tests.webhooks.jobs import BAD, HOLDER, MODEL, lease

PLACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
STAMP = f"{PLACE} 1790000000123"
TERMS = Terms(queue_class=QueueClass.BULK, trace=PLACE, webhook=Webhook("http://a.example/", "a.example"))


def test_a_chunk_and_its_parts_keep_the_place_of_their_request() -> None:
    chunk = Chunk("job_x", 7, [Item.accept("好", 9), Item.accept("坏", 9)], trace=STAMP)
    assert decode_chunk("job_x", 7, encode_chunk(chunk)) == chunk
    assert [part.trace for part in chunk.split()] == [STAMP, STAMP]


def test_a_chunk_without_a_place_is_written_as_it_was_before_there_were_traces() -> None:
    chunk = Chunk("job_x", 7, [Item.accept("好", 9)])
    assert set(json.loads(encode_chunk(chunk))) == {"texts", "ids", "errors"}
    assert decode_chunk("job_x", 7, encode_chunk(chunk)).trace == ""


def test_the_place_goes_from_the_record_to_the_lease_and_to_the_delivery_but_not_to_a_retry(
    store: JobStore,
) -> None:
    job_id = store.ids.issue("")
    store.create(job_id, TERMS, [Chunk(job_id, 0, [Item.accept("好", 9)], trace=STAMP)])
    job = store.job(job_id)
    assert job.terms.trace == PLACE
    held = leases.lease(store, HOLDER, 10**9)
    assert held is not None
    assert held.chunks[0].chunk.trace == STAMP
    assert leases.finish(store, held, [ChunkResult(held.chunks[0].chunk, [BAD], 1)], MODEL) == 1
    (delivery,) = lease(store)
    assert delivery.trace == PLACE
    assert retry_terms(store.job(job_id)).trace == ""


def test_a_job_without_a_place_has_no_field_for_it(store: JobStore) -> None:
    job_id = store.ids.issue("")
    store.create(job_id, replace(TERMS, trace=""), [Chunk(job_id, 0, [Item.accept("好", 9)])])
    held = leases.lease(store, HOLDER, 10**9)
    assert held is not None
    assert leases.finish(store, held, [ChunkResult(held.chunks[0].chunk, [BAD], 1)], MODEL) == 1
    for part in ([], ["delivery"]):
        assert not store.redis.hexists(job_key(job_id, *part), "trace")
    (delivery,) = lease(store)
    assert isinstance(delivery, deliveries.Delivery)
    assert delivery.trace == ""


def test_a_stamp_reads_as_it_was_written() -> None:
    assert trace.stamp("") == ""
    found = trace.read_stamp(trace.stamp(PLACE))
    assert found is not None
    assert found[0] == PLACE
    assert found[1] % 1_000_000 == 0
    assert trace.read_stamp(STAMP) == (PLACE, 1_790_000_000_123_000_000)


@pytest.mark.parametrize("text", ["", PLACE, f"{PLACE} soon", f"01{PLACE[2:]} 1", '{"trace": 1}'])
def test_a_stamp_of_another_kind_is_none(text: str) -> None:
    assert trace.read_stamp(text) is None


def test_calls_do_nothing_while_tracing_is_off(settings: Settings) -> None:
    trace.require(settings)
    trace.start("api", settings)
    assert not trace.enabled()
    with trace.request(PLACE) as request, trace.span("admission") as span, trace.batch([PLACE], 1) as batch:
        span.set(job_id="job_x")
        trace.record("wait", PLACE, (1, 2), batch, items=1)
        assert {id(each) for each in (request, span, batch, trace.current())} == {id(NO_SPAN)}
        assert (span.traceparent, trace.delivery(PLACE)) == ("", NO_SPAN)
    trace.stop()
    assert "tasks.tracing.otel" not in sys.modules


def test_an_endpoint_that_is_no_url_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.otlp_endpoint == ""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")
    with pytest.raises(ConfigurationError, match="OTEL_EXPORTER_OTLP_ENDPOINT"):
        Settings.read()
