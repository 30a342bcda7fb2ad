"""The comparison of HTTP servers: the table, a real run of one, the report."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from bench.fronts.catalogue import FRONTS
from bench.peers.catalogue import Peer
from bench.peers.services import running_peer
from bench.programs.fronts import measure, page, server_of
from local.logs import Log
from local.processes import ROOT

_LATENCY = {"p50": 10.0, "p95": 20.0, "p99": 30.0, "count": 40}


@pytest.mark.parametrize("front", FRONTS, ids=lambda front: front.name)
def test_the_packages_of_a_server_are_locked(front: Peer) -> None:
    lock = (ROOT / "requirements" / "peers" / "fronts.lock").read_text("utf-8")
    assert [name for name in front.packages if f"\n{name}==" not in lock] == []


def test_what_is_measured_is_the_server_and_not_redis(tmp_path: Path) -> None:
    options = Namespace(count=30, seed=7, per_second=100.0)
    with (
        (tmp_path / "log").open("w", encoding="utf-8") as log,
        running_peer(FRONTS[1], Path(sys.executable), tmp_path, Log(log)) as service,
    ):
        figures = measure(options, service, 0)
        assert "gunicorn" in " ".join(psutil.Process(server_of(service)[0]).cmdline())
        assert set(service.pids) - set(server_of(service)) == {service.pids[0]}
        assert redis.Redis.from_url(service.redis_url).info("server")["process_id"] == service.pids[0]
    assert figures["flood"]["latency_ms"]["count"] == figures["open"]["latency_ms"]["count"] == 30
    assert figures["flood"]["latency_ms"]["p50"] >= 50, "the app waits so long"


def measured(per_s: float, cpu_s: float) -> dict[str, Any]:
    flood = {"per_s": per_s, "cpu_s_per_1000": cpu_s, "latency_ms": _LATENCY}
    return {"flood": flood, "open": {"cpu_s_per_1000": cpu_s, "latency_ms": _LATENCY}}


def test_the_best_of_each_column_is_in_bold() -> None:
    figures = {
        "processor": "a processor",
        "cores": 2,
        "python": "3.11.0",
        "seed": 7,
        "rounds": 2,
        "per_second": 200.0,
        "versions": {"redis": "8.1.0"},
        "services": {"One": [measured(100, 0.5)] * 2, "Other": [measured(400, 0.75)] * 2},
        "peers": {"One": {"one": "1.2"}},
        "left_out": {"Third": "It cannot be installed: no wheel"},
    }
    text = page(figures)
    assert "| One | 100 | **0.5** |" in text
    assert "| Other | **400** | 0.75 |" in text
    assert "- Not measured: Third. It cannot be installed: no wheel" in text
