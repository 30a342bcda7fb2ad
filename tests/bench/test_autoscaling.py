"""A simulated day: a steady load needs steady workers, and scalers differ where they must."""

from __future__ import annotations

import random
import statistics

import pytest

from bench.simulate.autoscaling import (
    POLICIES,
    Demand,
    Scaling,
    State,
    _poisson,
    by_cpu,
    by_pending_cost,
    by_queue_length,
    run_day,
)
from bench.simulate.loads import Burst, diurnal

STEADY = Demand(lambda _: 1000.0, text_s=0.05, mean_job_texts=100, spread=0.5, seed=3)  # 50 workers' work


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_a_steady_load_keeps_about_as_many_workers_as_it_has_work_for(policy: object) -> None:
    day = run_day(STEADY, Scaling(1, 500), policy, seconds=7200)  # type: ignore[arg-type]
    workers = [count for when, count, _ in day.series if when > 3600]
    assert 50 <= statistics.mean(workers) < 90
    assert day.texts == pytest.approx(7.2e6, rel=0.03)


def test_a_day_with_one_seed_is_the_same_day() -> None:
    days = [run_day(STEADY, Scaling(1, 500), by_cpu, seconds=600) for _ in range(2)]
    assert days[0].series == days[1].series


def test_pending_cost_follows_a_burst_before_cpu_does() -> None:
    demand = Demand(diurnal(86_400e3, swing=0, bursts=(Burst(3600, 900, 5),)), 0.05, 100, 0.5)
    waits = {
        name: run_day(demand, Scaling(1, 1000), policy, 7200).wait_s(0.99)
        for name, policy in POLICIES.items()
    }
    assert waits["pending cost"] < waits["CPU at 70 %"]


def test_only_cost_sees_that_a_job_is_large() -> None:
    state = State(workers=10, work_s=60_000, jobs=1, utilization=1)
    scaling = Scaling(1, 10_000)
    assert by_pending_cost(state, scaling, 0.05) == 2010
    assert by_queue_length(state, scaling, 0.05) == pytest.approx(10 + 50 / 30)
    assert by_cpu(state, scaling, 0.05) == pytest.approx(10 / 0.7)


def test_workers_start_late_and_stop_later() -> None:
    demand = Demand(lambda now: 4000.0 if 600 <= now < 900 else 400.0, 0.05, 100, 0.1)
    day = run_day(demand, Scaling(1, 1000, start_s=60, keep_s=300), by_pending_cost, 3600)
    at = {when: count for when, count, _ in day.series}
    assert at[655] < 2 * at[595]
    assert max(at.values()) > 4 * at[595]
    assert at[3500] < 2 * at[595]


def test_waits_are_weighted_by_texts() -> None:
    day = run_day(STEADY, Scaling(1, 500), by_pending_cost, 600)
    day.waits, day.texts = [(1.0, 90.0), (10.0, 9.0), (100.0, 1.0)], 100.0
    assert [day.wait_s(share) for share in (0.5, 0.9, 0.95, 0.999)] == [1, 1, 10, 100]
    assert day.within(10) == 0.99


@pytest.mark.parametrize("mean", [0.3, 7, 200])
def test_poisson_numbers_have_their_mean_as_variance(mean: float) -> None:
    chance = random.Random(5)
    numbers = [_poisson(chance, mean) for _ in range(20_000)]
    assert statistics.mean(numbers) == pytest.approx(mean, rel=0.03)
    assert statistics.variance(numbers) == pytest.approx(mean, rel=0.05)
