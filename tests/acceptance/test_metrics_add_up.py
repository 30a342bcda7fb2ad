"""The counts of finished items add up to the accepted ones, even if children are killed."""

from __future__ import annotations

import os
import signal
from collections import Counter
from functools import partial
from pathlib import Path

import httpx2
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sentiq import Sentiq

from local.ports import free_port
from local.processes import Group
from local.redis_server import start_redis
from tests.conftest import eventually, started_stack, worker_of

JOBS, ITEMS = 4, 500


def read_metrics(url: str) -> dict[str, float]:
    """Return every sample of the one model, by its name and its other labels without quotes."""
    return {
        sample.name
        + "".join(
            f"{{{name}={value}}}" for name, value in sample.labels.items() if name != "model"
        ): sample.value
        for family in text_string_to_metric_families(httpx2.get(f"{url}/metrics", timeout=30).text)
        for sample in family.samples
    }


def outcomes(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name.startswith("sentiq_finished_items_total")}


def pending(client: Sentiq, jobs: list[str]) -> int:
    return sum(client.job(job).counts.pending for job in jobs)


def texts(reviews: list[dict[str, str]], seed: int) -> list[str]:
    batch = [f"{seed}-{i}，{reviews[i % len(reviews)]['text']}" for i in range(ITEMS)]
    batch[7] = " "
    return batch


def others(worker: psutil.Process, killed: list[int]) -> list[psutil.Process]:
    return [child for child in worker.children() if child.pid not in killed]


@pytest.mark.timeout(300)
def test_counts_are_exact_when_children_are_killed(tmp_path: Path, reviews: list[dict[str, str]]) -> None:
    with started_stack(tmp_path) as stack, Sentiq(stack.url) as client:
        before = read_metrics(stack.url)
        worker = worker_of(stack)
        jobs = [client.submit(texts(reviews, seed)).id for seed in range(JOBS)]
        killed: list[int] = []
        for share in (0.1, 0.4, 0.7):
            left = (1 - share) * JOBS * ITEMS
            eventually(lambda left=left: pending(client, jobs) <= left, within_s=100)  # type: ignore[misc]
            # The oldest live child: a killed one may still be listed, and its successor may not have started.
            living = eventually(partial(others, worker, killed))
            killed.append(min(living, key=lambda child: child.create_time()).pid)
            os.kill(killed[-1], signal.SIGKILL)
        eventually(lambda: not pending(client, jobs), within_s=150)
        eventually(lambda: read_metrics(stack.url)["sentiq_restarted_total"] >= len(killed), within_s=60)
        after = read_metrics(stack.url)
        grown = Counter(after)
        grown.subtract(before)
        assert grown["sentiq_admitted_items_total{class=bulk}"] == JOBS * ITEMS
        assert sum(outcomes(after).values()) - sum(outcomes(before).values()) == JOBS * ITEMS
        assert grown["sentiq_finished_items_total{code=empty_text}"] == JOBS
        attempts = [value for name, value in grown.items() if name.startswith("sentiq_attempted_items_total")]
        assert sum(attempts) == JOBS * ITEMS
        assert grown["sentiq_job_seconds_count{class=bulk}"] == JOBS
        assert grown["sentiq_requeued_chunks_total{reason=dead}"] >= 1
        assert grown["sentiq_attempted_items_total{attempts=2}"] >= 1
        assert grown["sentiq_restarted_total"] == 3
        assert 0 < grown["sentiq_batch_rows_sum"] <= JOBS * ITEMS
        assert grown["sentiq_batch_rows_count"] == grown["sentiq_forward_seconds_count"] > 0


def test_buckets_are_cumulative_and_count_the_job_in_the_right_one(
    tmp_path: Path, reviews: list[dict[str, str]]
) -> None:
    with started_stack(tmp_path) as stack, Sentiq(stack.url) as client:
        job = client.submit(texts(reviews, 1)).id
        client.job(job).wait(timeout=30)
        metrics = read_metrics(stack.url)
        for name in ("sentiq_job_seconds", "sentiq_queue_seconds"):
            buckets = [
                value for key, value in metrics.items() if key.startswith(f"{name}_bucket") and "bulk" in key
            ]
            assert buckets == sorted(buckets)
            assert buckets[-1] == metrics[f"{name}_count{{class=bulk}}"] > 0
        view = client.job(job).raw
        seconds = metrics["sentiq_job_seconds_sum{class=bulk}"]
        counts_by_bound = {
            float(key.split("le=")[1].strip("}")): value
            for key, value in metrics.items()
            if key.startswith("sentiq_job_seconds_bucket{class=bulk}")
        }
        assert view["status"] == "partial", "one of its texts is empty"
        assert {count for bound, count in counts_by_bound.items() if bound >= seconds} == {1}
        assert {count for bound, count in counts_by_bound.items() if bound < seconds} == {0}


def test_items_of_deleted_and_canceled_jobs_are_counted_by_their_code(
    tmp_path: Path, reviews: list[dict[str, str]]
) -> None:
    with started_stack(tmp_path) as stack, Sentiq(stack.url) as client:
        worker = worker_of(stack)
        eventually(lambda: not read_metrics(stack.url)["sentiq_pending_items{class=interactive}"])
        before = read_metrics(stack.url)
        processes = [worker, *worker.children()]
        for process in processes:
            process.suspend()
        deleted, canceled = (client.submit(texts(reviews, seed)).id for seed in (1, 2))
        eventually(lambda: read_metrics(stack.url)["sentiq_oldest_seconds{class=bulk}"] > 0)
        httpx2.delete(f"{stack.url}/v1/jobs/{deleted}")
        httpx2.post(f"{stack.url}/v1/jobs/{canceled}/cancel")
        for process in processes:
            process.resume()
        assert client.job(canceled).wait(timeout=30).status == "canceled"
        after = eventually(
            lambda: (
                metrics
                if not (metrics := read_metrics(stack.url))["sentiq_pending_items{class=bulk}"]
                else {}
            )
        )
        grown = Counter(outcomes(after))
        grown.subtract(outcomes(before))
        assert sum(grown.values()) == 2 * ITEMS
        assert grown["sentiq_finished_items_total{code=deleted}"] == ITEMS
        counts = client.job(canceled).counts
        assert counts.canceled == grown["sentiq_finished_items_total{code=canceled}"]


def test_without_redis_there_is_only_one_metric(tmp_path: Path) -> None:
    with Group() as group:
        server, url = start_redis(group, port=free_port())
        with started_stack(tmp_path, redis_url=url) as stack:
            assert read_metrics(stack.url)["sentiq_store_up"] == 1
            psutil.Process(server.pid).kill()
            eventually(lambda: read_metrics(stack.url) == {"sentiq_store_up": 0})
