"""After a fault ends, a new text soon has its verdict, and every accepted text has the right one, once.

One cluster serves all cases. `-s` shows how long each recovery took.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx2
import psutil
import pytest
import redis
from sentiq import Sentiq

from tasks.settings import Settings
from tasks.store.jobs import JobStore
from tasks.store.workers import live_workers
from tests.attacks.cluster import Cluster, running_cluster
from tests.conftest import INT8_TOLERANCE, eventually, items_of
from tests.webhooks.receiver import Receiver, receiving

# Seconds from the end of a fault to the verdict of a new text, on a quiet machine with two cores.
AFTER_A_FAULT_S = 5.0
AFTER_HALF_OPEN_S = 10.0  # both sides must notice by themselves that nothing comes any more
AFTER_A_MINUTE_S = 15.0  # pauses between tries have grown meanwhile
WITH_ANOTHER_CHILD_S = 0.5
ALL_OVER_S = 60.0  # a lease whose holder cannot be asked ends after 30 s
HELD_S = 3.0
JOBS, ITEMS, SINGLES = 3, 400, 10
PROBES = 6  # enough to meet both API processes
WORKERS, CHILDREN = 2, 2
SETTINGS = {
    "SENTIMENT_API_PROCESSES": "2",
    "SENTIMENT_CONCURRENCY": str(CHILDREN),
    "SENTIMENT_CACHE_ROWS": "0",
    "SENTIMENT_WEBHOOK_ALLOW": "127.0.0.1",
    "SENTIMENT_RATE_PER_S": "100000",
    "SENTIMENT_RATE_BURST": "100000",
}
TEXTS = [f"第{i}次来，{('服务很贴心', '菜太难吃了', '还行吧')[i % 3]}，{i * 7 % 11}分" for i in range(ITEMS)]

Verdict = tuple[str, float]
Find = Callable[[Cluster], psutil.Process]
Break = Callable[[Cluster], Callable[[], None]]  # breaks something and returns what mends it


@dataclass(frozen=True)
class Fault:
    """A fault, for how long it lasts, and what is promised when it has ended."""

    breaks: Break
    lasts_s: float = HELD_S
    within_s: float = AFTER_A_FAULT_S


def each(things: Iterable[object], action: str) -> None:
    for thing in things:
        getattr(thing, action)()


def child(cluster: Cluster) -> psutil.Process:
    return cluster.process("worker_1").children()[0]


def api_child(cluster: Cluster) -> psutil.Process:
    return cluster.process("api").children()[0]


def named(name: str) -> Find:
    return lambda cluster: cluster.process(name)


def killed(find: Find) -> Break:
    """Kill a process; the cluster starts it again."""

    def breaks(cluster: Cluster) -> Callable[[], None]:
        find(cluster).kill()
        return lambda: None

    return breaks


def stopped(find: Find) -> Break:
    """Stop a process with its children, and let them go on."""

    def breaks(cluster: Cluster) -> Callable[[], None]:
        parent = find(cluster)
        family = [parent, *parent.children(recursive=True)]
        for process in family:
            process.suspend()
        return lambda: each(family, "resume")

    return breaks


def away(name: str) -> Break:
    """Kill a process and keep it away."""

    def breaks(cluster: Cluster) -> Callable[[], None]:
        cluster.hold_down(name)
        return lambda: cluster.let_up(name)

    return breaks


def links(kind: str, *names: str) -> Break:
    """Break the links of some roles, or of all, with a method of `Proxy`."""

    def breaks(cluster: Cluster) -> Callable[[], None]:
        broken = [link for name, link in cluster.links.items() if name.startswith(names or "")]
        each(broken, kind)
        return lambda: each(broken, "mend")

    return breaks


ENDS = {"api": ("api",), "workers": ("worker",), "sender": ("webhooks",), "all": ()}
FAULTS: dict[str, Fault] = {
    # Without a fault the bounds must hold too: if they do not, the machine is not quiet.
    "nothing": Fault(lambda _: lambda: None, 0, WITH_ANOTHER_CHILD_S),
    "child_killed": Fault(killed(child), 0, WITH_ANOTHER_CHILD_S),
    "child_stopped": Fault(stopped(child)),
    "worker_killed": Fault(killed(named("worker_1")), 0, WITH_ANOTHER_CHILD_S),
    "worker_stopped": Fault(stopped(named("worker_1"))),
    "api_process_killed": Fault(killed(api_child), 0),
    "api_process_stopped": Fault(stopped(api_child)),
    "api_away": Fault(away("api")),
    "sender_killed": Fault(killed(named("webhooks")), 0),
    "sender_stopped": Fault(stopped(named("webhooks"))),
    "redis_stopped": Fault(stopped(named("redis"))),
    "redis_away": Fault(away("redis")),
    "redis_away_for_a_minute": Fault(away("redis"), 60, AFTER_A_MINUTE_S),
    **{f"{end}_links_reset": Fault(links("reset", *names), 0) for end, names in ENDS.items()},
    **{f"{end}_links_refused": Fault(links("refuse", *names)) for end, names in ENDS.items()},
    **{f"{end}_links_held": Fault(links("blackhole", *names)) for end, names in ENDS.items()},
    **{
        f"{end}_links_half_open": Fault(links("half_open", *names), 0, AFTER_HALF_OPEN_S)
        for end, names in ENDS.items()
    },
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with running_cluster(folder, workers=WORKERS, **SETTINGS) as cluster:
        await_whole(cluster)
        yield cluster


@pytest.fixture(scope="module")
def undisturbed(cluster: Cluster) -> list[Verdict]:
    """Return the verdicts on `TEXTS` when nothing is broken."""
    with Sentiq(cluster.url) as client:
        job_id = client.submit(TEXTS).id
        await_over(client, [job_id])
        return verdicts(client, job_id)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", FAULTS)
def test_a_single_fault(cluster: Cluster, undisturbed: list[Verdict], name: str) -> None:
    fault = FAULTS[name]
    with Sentiq(cluster.url) as client:
        accepted = submit(client)
        eventually(lambda: client.job(accepted[0]).counts.succeeded, within_s=60)
    mend = fault.breaks(cluster)
    time.sleep(fault.lasts_s)
    mend()
    ended = time.monotonic()
    verdict_s = verdict_after(cluster, ended)
    webhook_s = webhook_after(cluster, ended)
    await_whole(cluster)
    with Sentiq(cluster.url) as client:
        await_over(client, accepted)
        over_s = time.monotonic() - ended
        print(f"\n{name}: verdict {verdict_s:.2f} s, webhook {webhook_s:.2f} s, all over {over_s:.1f} s")
        check_verdicts(client, accepted, undisturbed)
    check_counts(cluster)
    assert verdict_s < fault.within_s
    assert webhook_s < max(fault.within_s, AFTER_HALF_OPEN_S)


def submit(client: Sentiq) -> list[str]:
    """Submit large jobs of all texts and small ones of one; return their ids."""
    large = [client.submit(TEXTS).id for _ in range(JOBS)]
    return large + [client.submit([text]).id for text in TEXTS[:SINGLES]]


def verdict_after(cluster: Cluster, ended: float) -> float:
    """Return the seconds until the last of some new texts has its verdict; refused calls are repeated."""

    def probe(number: int) -> float:
        text = f"现在好了吗，{ended}，{number}"
        repeat(lambda: http.post(f"{cluster.url}/predict", json={"text": text}))
        return time.monotonic() - ended

    # A connection a call, so that both API processes answer; one client, because making one takes long.
    limits = httpx2.Limits(max_keepalive_connections=0)
    with (
        httpx2.Client(timeout=60, trust_env=False, limits=limits) as http,
        ThreadPoolExecutor(PROBES) as callers,
    ):
        return max(callers.map(probe, range(PROBES)))


def webhook_after(cluster: Cluster, ended: float) -> float:
    """Return the seconds until the webhook of a new job is delivered."""
    with receiving(Receiver()) as receiver:
        body = {"text": "服务很贴心", "webhook": {"url": receiver.url}}
        repeat(lambda: httpx2.post(f"{cluster.url}/v1/jobs", json=body))
        eventually(lambda: receiver.received, within_s=60)
        return receiver.received[0].at - ended


def repeat(call: Callable[[], httpx2.Response]) -> httpx2.Response:
    """Repeat a call until it succeeds."""

    def succeeded() -> httpx2.Response | None:
        try:
            answer = call()
        except httpx2.TransportError:
            return None
        return answer if answer.is_success else None

    answer = eventually(succeeded, within_s=90)
    assert answer is not None
    return answer


def await_whole(cluster: Cluster) -> None:
    """Wait until all children of all workers are ready, and the API answers."""
    store = JobStore(redis.Redis.from_url(cluster.redis_url), Settings())

    def look() -> bool:
        try:
            ready = {worker.pid: worker.ready for worker in live_workers(store)}
            # What was just killed has its last heartbeat still.
            pids = [cluster.process(name).pid for name in cluster.scorers if cluster.running(name)]
            answers = httpx2.get(f"{cluster.url}/readyz").is_success
        except (httpx2.TransportError, psutil.NoSuchProcess):
            return False
        return answers and [ready.get(pid) for pid in pids] == [CHILDREN] * WORKERS

    eventually(look, within_s=90)


def await_over(client: Sentiq, job_ids: list[str]) -> None:
    def pending() -> int:
        return sum(client.job(job_id).counts.pending for job_id in job_ids)

    eventually(lambda: not pending(), within_s=ALL_OVER_S)


def verdicts(client: Sentiq, job_id: str) -> list[Verdict]:
    """Return the verdicts of a job; check that there is one for each item, in order."""
    items = items_of(client, job_id)
    assert [item["index"] for item in items] == list(range(len(items)))
    return [(item["label"], item["confidence"]) for item in items]


def check_verdicts(client: Sentiq, job_ids: list[str], undisturbed: list[Verdict]) -> None:
    for number, job_id in enumerate(job_ids):
        single = number - JOBS
        expected = undisturbed if single < 0 else undisturbed[single : single + 1]
        found = verdicts(client, job_id)
        assert [label for label, _ in found] == [label for label, _ in expected], job_id
        confidences = [confidence for _, confidence in expected]
        assert [confidence for _, confidence in found] == pytest.approx(
            confidences, abs=INT8_TOLERANCE + 1e-3
        )


def check_counts(cluster: Cluster) -> None:
    """Check that each item that was admitted is counted once by how it ended."""
    client: Any = redis.Redis.from_url(cluster.redis_url)

    def total(counted: dict[bytes, bytes], kind: bytes) -> int:
        return sum(int(count) for name, count in counted.items() if name.startswith(kind))

    def is_even() -> bool:
        counted = client.hgetall("sentiq:counters")
        return total(counted, b"admitted:") == total(counted, b"items:")

    eventually(is_even, within_s=ALL_OVER_S)
