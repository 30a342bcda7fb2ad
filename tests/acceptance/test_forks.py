"""Children are forks of a parent with one thread, and compute with as many threads as they have cores."""

from __future__ import annotations

from pathlib import Path

import pytest
from sentiq import Sentiq

from tests.conftest import eventually, started_stack, worker_of
from worker.process.cpu import cpu_budget

TEXTS = [f"第{i}次来，{('服务很贴心', '菜太难吃了', '还行吧')[i % 3]}" for i in range(200)]
CORES = cpu_budget().count


@pytest.mark.timeout(200)
@pytest.mark.parametrize("threads", sorted({1, CORES}))
def test_forked_children_compute_with_any_number_of_threads(tmp_path: Path, threads: int) -> None:
    """Also the one that replaces a killed child, whose parent has worked for a while by then."""
    concurrency = CORES // threads
    with (
        started_stack(tmp_path, SENTIMENT_CONCURRENCY=str(concurrency)) as stack,
        Sentiq(stack.url) as client,
    ):
        worker = worker_of(stack)
        assert worker.num_threads() == 1
        for _ in range(2):
            children = eventually(worker.children)
            assert [child.cmdline() for child in children] == [worker.cmdline()] * concurrency, "not spawned"
            job = client.submit(TEXTS).wait(timeout=60)
            assert (job.status, job.counts.succeeded) == ("succeeded", len(TEXTS))
            children[0].kill()
            children[0].wait()
            eventually(lambda: len(worker.children()) == concurrency)
        stack.check()
