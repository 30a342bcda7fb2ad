"""The simulated cluster against closed forms, and its own bookkeeping."""

from __future__ import annotations

import math
import random
import statistics

import pytest
import simpy

from bench.simulate.cluster import Cluster
from bench.simulate.deployment import Deployment, idle_share, leased_chunks
from bench.simulate.loads import Arrivals, Burst, Run, diurnal, run_closed, run_open
from bench.simulate.parts import Call, Parts

ONE_A_CHUNK = Parts(chunk_texts=1, chunk_s=[1.0])


def erlang_c(servers: int, offered: float) -> float:
    """Return the probability of a wait in M/M/c, with `offered` = arrival rate x mean service."""
    terms = [offered**k / math.factorial(k) for k in range(servers)]
    last = offered**servers / math.factorial(servers) * servers / (servers - offered)
    return last / (sum(terms) + last)


def exponential(chance: random.Random, texts: int) -> float:
    return sum(chance.expovariate(1.0) for _ in range(texts))


@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (1, 0.8), (4, 0.8), (16, 0.9)])
def test_jobs_of_one_text_wait_as_in_an_m_m_c_queue(servers: int, load: float) -> None:
    env = simpy.Environment()
    cluster = Cluster(env, ONE_A_CHUNK, Deployment(servers), seed=1, draw=exponential)
    per_s = load * servers
    Arrivals.steady(Run(1, 0, seed=2), per_s).start(env, cluster)
    env.run(until=60_000 / per_s)
    expected = 1 + erlang_c(servers, per_s) / (servers - per_s)
    assert statistics.mean(cluster.seen.latencies(start=1000 / per_s)) == pytest.approx(expected, rel=0.08)


def test_a_seed_gives_the_same_run_again() -> None:
    runs = [run_open(ONE_A_CHUNK, Deployment(2), Run(1, 200, seed), 1.5) for seed in (1, 1, 2)]
    assert runs[0].jobs == runs[1].jobs
    assert runs[0].jobs != runs[2].jobs


def test_a_busy_cluster_reaches_the_rate_of_its_workers() -> None:
    parts = Parts(chunk_texts=64, chunk_s=[0.8], child_chunk_s=0.2)
    seen = run_closed(parts, Deployment(10), Run(640, 100, seed=1), callers=4)
    assert seen.rate(10, 100) == pytest.approx(640, rel=0.02)
    assert seen.worker_busy_s == pytest.approx(1000, rel=0.02)


def test_redis_bounds_the_rate_when_its_thread_is_busy() -> None:
    parts = Parts(chunk_texts=64, chunk_s=[0.5], lease=Call(base_us=20_000), finish=Call(base_us=20_000))
    seen = run_closed(parts, Deployment(200), Run(640, 60, seed=1), callers=100)
    # Each chunk holds Redis for 40 ms.
    assert seen.rate(20, 60) == pytest.approx(64 / 0.04, rel=0.03)
    spread = run_closed(parts, Deployment(200, redis_servers=4), Run(640, 60, seed=1), callers=100)
    assert spread.rate(20, 60) == pytest.approx(4 * 64 / 0.04, rel=0.1)


def test_bytes_bound_the_rate_when_the_network_is_busy() -> None:
    parts = Parts(chunk_texts=64, chunk_s=[0.1], finish=Call(base_us=1, chunk_bytes=1e6))
    deployment = Deployment(100, bytes_per_s=1e8, lease_work_s=0.1)
    seen = run_closed(parts, deployment, Run(64, 20, seed=1), callers=400)
    assert seen.rate(5, 20) == pytest.approx(64 * 100, rel=0.03)


def test_the_api_bounds_the_rate_when_its_processes_are_busy() -> None:
    parts = Parts(chunk_texts=64, chunk_s=[0.001], api_job_s=0.1)
    seen = run_closed(parts, Deployment(8, api_processes=2), Run(64, 60, seed=1), callers=50)
    assert seen.rate(5, 60) == pytest.approx(2 / 0.1 * 64, rel=0.03)


def test_a_round_trip_is_paid_for_each_lease_and_each_finish() -> None:
    parts = Parts(chunk_texts=64, chunk_s=[0.5])
    near, far = (
        run_closed(parts, Deployment(1, rtt_s=rtt_s), Run(6400, 100, seed=1), callers=2)
        for rtt_s in (0, 0.05)
    )
    assert far.rate(10, 100) / near.rate(10, 100) == pytest.approx(0.5 / 0.6, rel=0.03)


def test_chunks_of_lost_workers_come_back_when_their_leases_end() -> None:
    env = simpy.Environment()
    cluster = Cluster(env, Parts(chunk_texts=1, chunk_s=[5.0]), Deployment(4, lease_s=30), seed=1)
    jobs = [env.process(cluster.submit(1)) for _ in range(4)]
    env.run(until=1)
    cluster.lose(0.5)
    env.run(until=60)
    assert sorted(float(str(job.value)) for job in jobs) == [5, 5, 36, 36]


def test_idle_workers_take_a_part_of_redis() -> None:
    parts = Parts(chunk_texts=64, chunk_s=[1.0], idle_us_per_s=500, finish=Call(base_us=1000))
    deployment = Deployment(8000, children_a_worker=8)
    assert idle_share(parts, deployment) == 0.5
    seen = run_closed(parts, deployment, Run(640, 20, seed=1), callers=2000)
    assert seen.rate(10, 20) == pytest.approx(64 / 0.002, rel=0.03)


def test_a_lease_has_half_a_second_of_work_and_at_least_one_chunk() -> None:
    fast, slow = Parts(chunk_texts=64, chunk_s=[0.1]), Parts(chunk_texts=64, chunk_s=[1.6])
    assert leased_chunks(fast, Deployment(1)) == 5
    assert leased_chunks(slow, Deployment(1)) == 1


def test_a_day_has_its_texts_and_its_peak_at_two() -> None:
    rate = diurnal(1e9)
    hours = [rate(3600 * hour) for hour in range(24)]
    assert sum(hours) * 3600 == pytest.approx(1e9, rel=1e-6)
    assert max(hours) == hours[14] == pytest.approx(1.6e9 / 86_400)
    assert diurnal(1e9, bursts=(Burst(0, 60, 3),))(30) == pytest.approx(3 * rate(30))
