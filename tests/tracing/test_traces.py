"""The trace of a request, from the caller's span to the receiver of its webhook, through real processes."""

from __future__ import annotations

import signal
from typing import Any

import httpx2
import psutil
import pytest

from local.stack import Stack
from tests.conftest import eventually, worker_of
from tests.tracing.collector import Collector, Seen
from tests.webhooks.receiver import Receiver

CALLER = ("1" * 32, "2" * 16)  # trace and span
SECRETS = ("太难吃了别来", "the-items-own-id", "a-value-of-metadata", "a-value-of-data", "token=1")


def submit(stack: Stack, trace: str = "", sampled: int = 1, **body: Any) -> dict[str, Any]:
    headers = {"traceparent": f"00-{trace}-{CALLER[1]}-{sampled:02d}"} if trace else {}
    body = {"items": [{"text": "服务很贴心"}]} | body
    answer = httpx2.post(
        f"{stack.url}/v1/jobs", json=body, headers=headers | {"Prefer": "wait=30"}, timeout=60
    )
    assert answer.is_success, answer.text
    return dict(answer.json())


def one(collector: Collector, name: str, **wanted: str) -> Seen:
    """Wait for the span of that name, and return it; there must be no other."""
    (span,) = eventually(lambda: collector.named(name, **wanted))
    return span


def test_a_request_is_one_trace_from_the_caller_to_the_receiver_of_the_webhook(
    traced: Stack, collector: Collector, receiver: Receiver
) -> None:
    trace, caller = CALLER
    job = submit(traced, trace, webhook={"url": receiver.url})
    webhook = one(collector, "webhook", trace=trace)
    request = one(collector, "POST /v1/jobs", trace=trace)
    admission, wait, outcome = (
        one(collector, name, trace=trace) for name in ("admission", "wait", "outcome")
    )
    assert (request.parent, admission.parent) == (caller, request.id)
    assert {wait.parent, outcome.parent, webhook.parent} == {admission.id}
    assert (request.kind, admission.kind, webhook.kind) == ("SERVER", "INTERNAL", "CLIENT")
    assert (request.service, wait.service, webhook.service) == (
        "sentiq-api",
        "sentiq-worker",
        "sentiq-webhooks",
    )
    lease = one(collector, "lease", id=outcome.links[0][1])
    assert lease.links == [(trace, admission.id)]
    assert lease.trace != trace
    assert not lease.parent
    assert wait.links == outcome.links == [(lease.trace, lease.id)]
    forward = one(collector, "forward", parent=lease.id)
    assert (forward.trace, forward.attributes["sentiq.rows"]) == (lease.trace, 1)
    # One host has one clock.
    assert request.begun <= admission.begun <= admission.ended
    assert wait.begun // 1_000_000 <= wait.ended // 1_000_000
    assert wait.ended == outcome.begun <= forward.begun <= forward.ended <= outcome.ended <= webhook.begun
    assert admission.begun - 1_000_000 <= wait.begun
    assert {span.job for span in (admission, wait, outcome, webhook)} == {job["id"]}
    (received,) = receiver.received
    assert received.headers["traceparent"] == f"00-{trace}-{webhook.id}-01"


def test_spans_say_what_was_done_and_nothing_that_callers_sent(
    traced: Stack, collector: Collector, receiver: Receiver
) -> None:
    text, item, metadata, data, _ = SECRETS
    items = [{"text": text, "id": item, "data": {"column": data}}, {"text": ""}]
    body: dict[str, Any] = {
        "items": items,
        "metadata": {"source": metadata},
        "webhook": {"url": receiver.url},
    }
    job = submit(traced, **body)
    refused = httpx2.get(f"{traced.url}/v1/jobs/{text}", params={metadata: data})
    assert refused.status_code == 422
    unknown = httpx2.get(f"{traced.url}/{text}")
    assert unknown.status_code == 404
    webhook = one(collector, "webhook", job=job["id"])
    admission, outcome = one(collector, "admission", job=job["id"]), one(collector, "outcome", job=job["id"])
    about = {
        "sentiq.job.id": job["id"],
        "sentiq.model": job["model"]["id"],
        "sentiq.queue.class": "interactive",
    }
    assert admission.attributes == about | {"sentiq.items": 2, "sentiq.replayed": False}
    tokens = outcome.attributes["sentiq.tokens"]
    ended = {"sentiq.items.failed": 1, "error.type": "empty_text", "sentiq.attempts": 1}
    assert outcome.attributes == about | ended | {"sentiq.items": 2, "sentiq.tokens": tokens}
    assert tokens > len(text)
    assert outcome.failed
    assert webhook.attributes == {
        "sentiq.job.id": job["id"],
        "sentiq.attempts": 1,
        "http.response.status_code": 204,
    }
    read = eventually(lambda: collector.named("GET /v1/jobs/<job_id>"))[-1]
    assert (read.attributes["error.type"], read.failed) == (refused.json()["code"], False)
    assert eventually(lambda: collector.named("GET"))[-1].attributes["error.type"] == unknown.json()["code"]
    assert not [name for name in SECRETS for body in collector.bodies if name.encode() in body]


def test_two_requests_in_one_lease_are_both_linked_to_it(traced: Stack, collector: Collector) -> None:
    (child,) = worker_of(traced).children()
    child.send_signal(signal.SIGSTOP)
    try:
        jobs = [
            httpx2.post(f"{traced.url}/v1/jobs", json={"items": [{"text": "好"}]}).json() for _ in range(2)
        ]
    finally:
        child.send_signal(signal.SIGCONT)
    admissions = [one(collector, "admission", job=job["id"]) for job in jobs]
    outcomes = [one(collector, "outcome", job=job["id"]) for job in jobs]
    assert [outcome.trace for outcome in outcomes] == [admission.trace for admission in admissions]
    assert len({admission.trace for admission in admissions}) == 2
    assert len({outcome.links[0] for outcome in outcomes}) == 1
    lease = one(collector, "lease", id=outcomes[0].links[0][1])
    assert set(lease.links) == {(admission.trace, admission.id) for admission in admissions}
    assert (lease.attributes["sentiq.chunks"], lease.attributes["sentiq.items"]) == (2, 2)


@pytest.mark.parametrize("traceparent", ["nonsense", "00-" + "0" * 32 + "-00f067aa0ba902b7-01"])
def test_a_request_with_a_wrong_traceparent_begins_a_trace(
    traced: Stack, collector: Collector, traceparent: str
) -> None:
    before = len(collector.named("GET /v1/info"))
    assert httpx2.get(f"{traced.url}/v1/info", headers={"traceparent": traceparent}).is_success
    assert eventually(lambda: collector.named("GET /v1/info")[before:])[0].parent == ""


def test_a_request_that_its_caller_does_not_sample_leaves_no_span(
    traced: Stack, collector: Collector, receiver: Receiver
) -> None:
    trace = "5" * 32
    job = submit(traced, trace, sampled=0, webhook={"url": receiver.url})
    eventually(lambda: receiver.received)
    later = submit(traced)
    one(collector, "outcome", job=later["id"])
    assert not [span for span in collector.spans if span.trace == trace or span.job == job["id"]]
    assert "traceparent" not in receiver.received[0].headers


def test_a_refused_request_says_why(traced: Stack, collector: Collector) -> None:
    refused = httpx2.post(f"{traced.url}/v1/jobs", json={"items": []})
    assert refused.status_code == 422
    request = eventually(
        lambda: [each for each in collector.named("POST /v1/jobs") if "error.type" in each.attributes]
    )[-1]
    assert request.attributes["error.type"] == refused.json()["code"]
    assert request.attributes["http.response.status_code"] == 422


def test_an_upload_and_its_chunks_are_one_trace(traced: Stack, collector: Collector) -> None:
    content = "\n".join(f'"第{number}家"' for number in range(100))
    headers = {"content-type": "application/x-ndjson"}
    job = httpx2.post(f"{traced.url}/v1/jobs", content=content, headers=headers).json()
    admission = one(collector, "admission", job=job["id"])

    def items() -> bool:
        outcomes = collector.named("outcome", job=job["id"], parent=admission.id)
        return sum(int(span.attributes["sentiq.items"]) for span in outcomes) == 100

    eventually(items)


def test_each_attempt_at_a_webhook_is_a_span_of_its_own(
    traced: Stack, collector: Collector, receiver: Receiver
) -> None:
    receiver.statuses = [503, 204]
    job = submit(traced, webhook={"url": receiver.url})
    spans = eventually(lambda: seen if len(seen := collector.named("webhook", job=job["id"])) == 2 else [])
    first, second = sorted(spans, key=lambda span: span.begun)
    assert (first.attributes["sentiq.attempts"], first.attributes["error.type"], first.failed) == (
        1,
        "503",
        True,
    )
    assert (second.attributes["sentiq.attempts"], second.failed) == (2, False)
    assert [each.headers["traceparent"].split("-")[2] for each in receiver.received] == [first.id, second.id]


def test_requests_of_one_connection_are_traces_of_their_own_however_they_end(
    traced: Stack, collector: Collector
) -> None:
    job = submit(traced, items=[{"text": f"第{number}家"} for number in range(100)])
    before = len(collector.named("GET /v1/jobs/<job_id>/results")), len(collector.named("GET /v1/models"))
    with httpx2.Client(base_url=traced.url) as client:
        for _ in range(2):
            assert client.get("/v1/models").is_success
        accept = {"accept": "application/x-ndjson"}
        with client.stream("GET", f"/v1/jobs/{job['id']}/results", headers=accept) as response:
            assert next(response.iter_raw(10))
    results = eventually(lambda: collector.named("GET /v1/jobs/<job_id>/results")[before[0] :])
    models = eventually(lambda: collector.named("GET /v1/models")[before[1] :])
    assert [span.parent for span in (*results, *models)] == ["", "", ""]
    assert len({span.trace for span in (*results, *models)}) == 3


def test_probes_and_scrapes_leave_no_spans(traced: Stack, collector: Collector) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        assert httpx2.get(traced.url + path).is_success
    httpx2.get(f"{traced.url}/v1/queue")
    eventually(lambda: collector.named("GET /v1/queue"))
    assert not [
        span for span in collector.spans if span.name in {"GET /livez", "GET /readyz", "GET /metrics"}
    ]


def test_every_process_exports_by_itself(traced: Stack, collector: Collector) -> None:
    (child,) = worker_of(traced).children()
    assert isinstance(child, psutil.Process)
    assert {span.pid for span in collector.named("lease")} == {child.pid}
