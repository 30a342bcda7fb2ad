"""Traces while children end, collectors are away, and programs stop."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
import redis

from local.processes import ROOT
from local.stack import Stack
from tests.conftest import eventually, started_stack, worker_of
from tests.tracing.collector import Collector, collecting
from tests.tracing.conftest import HERE

# More than a child scores before its first spans have been exported.
TEXTS = 1000
# No export but at a stop, and one that many spans bring about.
AT_STOP = {"OTEL_BSP_SCHEDULE_DELAY": "600000"}


def submit(stack: Stack, texts: int = 1, wait_s: int = 30) -> dict[str, Any]:
    text = "的服务很贴心" * (1 if texts == 1 else 10)
    body = {"items": [{"text": f"第{number}家店{text}"} for number in range(texts)]}
    headers = {"Prefer": f"wait={wait_s}"} if wait_s else {}
    answer = httpx2.post(f"{stack.url}/v1/jobs", json=body, headers=headers, timeout=60)
    assert answer.is_success, answer.text
    return dict(answer.json())


def finished(stack: Stack, job: dict[str, Any]) -> dict[str, Any]:
    def seen() -> dict[str, Any]:
        answer = httpx2.get(f"{stack.url}/v1/jobs/{job['id']}", headers={"Prefer": "wait=30"}, timeout=60)
        return {} if answer.json()["counts"]["pending"] else dict(answer.json())

    return eventually(seen, within_s=90)


def holds_a_lease(stack: Stack, child: psutil.Process) -> bool:
    """Stop a child; let it go on, and return False, if it holds no lease now."""
    child.send_signal(signal.SIGSTOP)
    with redis.Redis.from_url(stack.redis_url) as client:
        holders = [value for key in client.scan_iter("sentiq:leases:*") for value in client.hvals(key)]
    if any(int(holder.split()[0]) == child.pid for holder in holders):
        return True
    child.send_signal(signal.SIGCONT)
    return False


def items(collector: Collector, job: dict[str, Any], **wanted: Any) -> int:
    spans = collector.named("outcome", job=job["id"])
    chosen = [each for each in spans if all(getattr(each, name) == value for name, value in wanted.items())]
    return sum(int(each.attributes["sentiq.items"]) for each in chosen)


def test_a_killed_child_leaves_a_trace_that_the_next_one_continues(tmp_path: Path) -> None:
    small = {"SENTIMENT_CHUNK_ITEMS": "4", "OTEL_BSP_SCHEDULE_DELAY": "100", "SENTIMENT_LEASE_WORK_S": "0.1"}
    with (
        collecting() as collector,
        started_stack(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **HERE, **small) as stack,
    ):
        (child,) = worker_of(stack).children()
        job = submit(stack, TEXTS, wait_s=0)
        eventually(lambda: items(collector, job, pid=child.pid) and holds_a_lease(stack, child))
        known = items(collector, job, pid=child.pid)
        child.kill()
        assert finished(stack, job)["status"] == "succeeded"
        eventually(
            lambda: [each for each in collector.named("outcome") if each.attributes["sentiq.attempts"] == 2]
        )
        (admission,) = collector.named("admission", job=job["id"])
        outcomes = collector.named("outcome", job=job["id"])
        assert {each.parent for each in outcomes} == {admission.id}
        assert {each.trace for each in outcomes} == {admission.trace}
        assert len({each.pid for each in outcomes}) == 2
        assert items(collector, job, pid=child.pid) >= known > 0
        # What the killed child had exported, the next one did not do again.
        assert items(collector, job) <= TEXTS


@contextmanager
def own_worker(stack: Stack, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker with options of Celery's in place of the one of a stack."""
    before = worker_of(stack)
    before.terminate()
    before.wait(20)
    env = os.environ | {"REDIS_URL": stack.redis_url}
    command = [sys.executable, "-m", "worker", "--hostname=own@%h", *options]
    with subprocess.Popen(command, cwd=ROOT, env=env) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def test_a_recycled_child_exports_its_last_spans_before_it_ends(tmp_path: Path) -> None:
    with (
        collecting() as collector,
        started_stack(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **HERE, **AT_STOP) as stack,
        own_worker(stack, "--max-tasks-per-child=1"),
    ):
        jobs = [submit(stack) for _ in range(3)]
        seen = [eventually(lambda job=job: collector.named("outcome", job=job["id"])) for job in jobs]  # type: ignore[misc]
        assert len({span.pid for (span,) in seen}) == 3
        leases = {span.id for span in collector.named("lease")}
        assert {span.links[0][1] for (span,) in seen} <= leases


def test_every_program_exports_what_is_left_when_it_stops(tmp_path: Path) -> None:
    with collecting() as collector:
        with started_stack(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **HERE, **AT_STOP) as stack:
            job = submit(stack)
            assert not collector.spans
        assert len(collector.named("POST /v1/jobs")) >= 1
        for name in ("admission", "wait", "outcome"):
            assert len(collector.named(name, job=job["id"])) == 1


@pytest.fixture
def nobody() -> Iterator[str]:
    """The URL of a port at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def test_without_its_collector_the_service_works_and_keeps_few_spans(tmp_path: Path, nobody: str) -> None:
    few = {"OTEL_BSP_MAX_QUEUE_SIZE": "16", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8"}
    with started_stack(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=nobody, **HERE, **few) as stack:
        with httpx2.Client(base_url=stack.url) as client:
            for _ in range(60):
                assert client.get("/v1/info").is_success
        assert finished(stack, submit(stack, 20))["status"] == "succeeded"
    log = (tmp_path / "stack.log").read_text("utf-8")
    assert "Queue full" in log
    assert "Traceback" not in log


@pytest.mark.parametrize("sampler", ["parentbased_always_off", "always_off"])
def test_the_sampler_decides_for_all_programs(tmp_path: Path, sampler: str) -> None:
    caller = {"traceparent": f"00-{'7' * 32}-{'8' * 16}-01", "Prefer": "wait=30"}
    body = {"items": [{"text": "好"}]}
    with (
        collecting() as collector,
        started_stack(
            tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_TRACES_SAMPLER=sampler, **HERE
        ) as stack,
    ):
        submit(stack)
        sampled = httpx2.post(f"{stack.url}/v1/jobs", json=body, headers=caller, timeout=60)
        assert sampled.json()["status"] == "succeeded"
        submit(stack)
    names = sorted(span.name for span in collector.spans)
    followed = ["POST /v1/jobs", "admission", "forward", "lease", "outcome", "wait"]
    assert names == ([] if sampler == "always_off" else followed)


def test_an_export_that_hangs_holds_no_request_up(tmp_path: Path) -> None:
    with (
        collecting() as collector,
        started_stack(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **HERE) as stack,
    ):
        collector.released.clear()
        assert submit(stack)["status"] == "succeeded"
        eventually(lambda: collector.waiting >= 2)  # of API and worker
        hanging = collector.waiting
        for _ in range(5):
            assert submit(stack)["status"] == "succeeded"
        assert collector.waiting >= hanging
        collector.released.set()
        eventually(lambda: len(collector.named("outcome")) >= 6)
