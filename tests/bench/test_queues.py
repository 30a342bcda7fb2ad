"""The comparison of queues: the table, the meter of Redis, the engine that answers at once, the report."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
import redis

from bench.peers.catalogue import Peer
from bench.peers.dialects import read_verdicts
from bench.queues.catalogue import QUEUES
from bench.queues.instant_engine import instant_engine
from bench.queues.reporting import SENTIQ, page
from bench.redis_meter import RedisMeter
from local.processes import ROOT
from local.redis_server import redis_server

_LATENCY = {"p50": 10.0, "p95": 20.0, "p99": 30.0, "count": 40}


@pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.name)
def test_a_queue_has_a_module_and_locked_packages(queue: Peer) -> None:
    lock = (ROOT / "requirements" / "peers" / f"{queue.environment}.lock").read_text("utf-8")
    assert [name for name in queue.packages if f"\n{name}==" not in lock] == []
    assert (ROOT / "bench" / "queues" / "servers" / f"{queue.env['PEER_QUEUE']}.py").is_file()
    assert any(queue.env["PEER_QUEUE"] in word for command in queue.commands for word in command)
    assert read_verdicts(queue.bulk, b'{"results": [0.5, 0.5]}') == [("any", 0.5)] * 2


def test_the_meter_counts_commands_and_bytes_those_of_scripts_too() -> None:
    with redis_server() as url, redis.Redis.from_url(url) as connection:
        with RedisMeter(url) as meter:
            for _ in range(100):
                connection.set("key", "x" * 1000)
        # INFO itself is counted once.
        assert meter.counts["commands"] == pytest.approx(100, abs=6)
        assert 100_000 < meter.counts["bytes_in"] < 110_000
        with RedisMeter(url) as meter:
            connection.eval("for i = 1, 50 do redis.call('GET', KEYS[1]) end", 1, "key")
        assert meter.counts["commands"] == pytest.approx(51, abs=6)
        assert meter.per_job(10)["commands"] == meter.counts["commands"] / 10


def test_the_engine_that_answers_at_once_takes_the_place_of_the_real_one() -> None:
    code = (
        "import numpy as np; from worker.engines.openvino import OpenVinoEngine; logits = np.ones((2, 2));"
        "OpenVinoEngine.forward(None, None, None, None, logits); print(logits.sum(), OpenVinoEngine.require)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | instant_engine(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("0.0 <function OpenVinoEngine.require")


def measured(per_s: float, out_per_s: float) -> dict[str, Any]:
    used = {"commands": 20.0, "bytes_in": 900.0, "bytes_out": 500.0, "cpu_us": 1e6 / per_s}
    single = {"jobs": 100, "per_s": per_s, "latency_ms": _LATENCY, "cpu_s_per_1000": 1.5, "redis": used}
    bulk = {"jobs": 1000, "in_per_s": 50, "out_per_s": out_per_s, "cpu_s_per_1000": 1.5, "redis": used}
    return {"single": single, "below": _LATENCY, "bulk": bulk}


def test_a_queue_that_wins_is_shown_winning() -> None:
    figures = {
        "name": "queues",
        "processor": "a processor",
        "cores": 2,
        "python": "3.11.0",
        "seed": 7,
        "rounds": 2,
        "versions": {"celery": "5.7.0"},
        "services": {SENTIQ: [measured(100, 900)] * 2, "Other": [measured(400, 300)] * 2},
        "peers": {"Other": {"other": "1.2"}},
        "left_out": {},
    }
    text = page(figures)
    assert f"| {SENTIQ} | 100 |" in text
    assert "| Other | **400** |" in text
    assert f"| {SENTIQ} | **50** | **900** |" in text
    assert "against Other | single 0.25 times (0.25 to 0.25), bulk 3.00 times (3.00 to 3.00) |" in text
