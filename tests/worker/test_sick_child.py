"""One of two children cannot allocate: every text gets its right verdict, and the child is replaced."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import psutil
import pytest
from sentiq import Sentiq

from tasks.settings import Settings
from tasks.store.counters import Counters
from tasks.store.jobs import JobStore
from tasks.store.workers import live_workers, with_processes
from tests.conftest import eventually, items_of, started_stack, worker_of
from worker.engines.factory import build_engine
from worker.packs.pack import load_pack
from worker.scoring.classifier import Classifier

PACK = load_pack(Path(__file__).parents[2] / "models" / "embedded")
PRAISE, COMPLAINT = "服务很贴心，菜非常好吃，下次还会再来", "太差了，难吃，态度恶劣，再也不会来了"
TEXTS = [
    f"第{number}次来，{(PRAISE, COMPLAINT)[number % 2]}" + "，真的" * (number % 40) for number in range(100)
]


def starve(child: psutil.Process) -> None:
    """Let a process have no more memory than it has, less what its heap has free."""
    _, hard = resource.prlimit(child.pid, resource.RLIMIT_AS)
    resource.prlimit(child.pid, resource.RLIMIT_AS, (child.memory_info().vms - 2**28, hard))


def sick(store: JobStore) -> list[int]:
    """Return how many sick children of each worker were replaced."""
    workers = with_processes(store, live_workers(store))
    return [worker.processes.replaced["sick"] for worker in workers if worker.processes]


@pytest.mark.timeout(300)
def test_a_starved_child_fails_no_text_and_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = build_engine(PACK, "openvino", device="cpu", threads=1)
    verdicts = Classifier(PACK, engine, batch_tokens=1024).classify(TEXTS)
    with started_stack(tmp_path, SENTIMENT_CONCURRENCY="2") as stack, Sentiq(stack.url) as client:
        monkeypatch.setenv("REDIS_URL", stack.redis_url)
        store = JobStore.connect(Settings.read())
        eventually(lambda: [worker.ready for worker in live_workers(store)] == [2], within_s=120)
        children = worker_of(stack).children()
        starve(children[0])
        counts: dict[str, int] = {}
        items: list[dict[str, Any]] = []
        while not counts.get("sick"):
            job = client.submit(TEXTS).id
            client.job(job).wait(timeout=120)
            counts = dict(Counters.read(store).counts)
            items += items_of(client, job)
        eventually(lambda: not children[0].is_running())
        eventually(lambda: len(worker_of(stack).children()) == 2)
        assert children[1].is_running()
        eventually(lambda: sick(store) == [1])
    for item in items:
        assert item["status"] == "succeeded"
        assert item["positive_prob"] == pytest.approx(verdicts[item["index"]].positive_prob, abs=1e-4)
        assert item["attempts"] == 1
    assert counts["returned:sick"] >= 1
