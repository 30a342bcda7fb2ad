"""Hosts of a bench: what runs on a host reaches Redis by its own wire, late if that is delayed."""

from __future__ import annotations

import io
import subprocess
import sys
from argparse import Namespace
from typing import Any

import pytest

from bench.hosts.reporting import draw_rates, page
from bench.program import BenchError
from bench.programs import hosts
from bench.writing import write_report
from local.logs import Log
from local.processes import Group, stop
from local.redis_server import start_redis
from local.wires import HERE, Wire, Wires, lacking, wired

_PING = """
import redis, sys, time
client = redis.Redis.from_url(sys.argv[1])
client.ping()
start = time.monotonic()
client.ping()
print(time.monotonic() - start)
"""


@pytest.mark.skipif(bool(lacking()), reason=lacking())
def test_a_host_reaches_redis_by_its_wire_with_its_delay() -> None:
    with wired("near", "far") as wires, Group() as group:
        wires.set(Wire(delay_s=(0.02, 0.02)), (HERE, "far"))
        server, url = start_redis(group, password="any", listen=wires.addresses[HERE])  # noqa: S106
        assert wires.addresses[HERE] in url
        times = {name: float(_ping(wires, name, url)) for name in ("near", "far")}
        stop([server], 5)
    assert times["far"] >= 0.04
    assert times["near"] < times["far"]


def _ping(wires: Wires, name: str, url: str) -> bytes:
    return subprocess.check_output(wires.command(name, [sys.executable, "-c", _PING, url]))


def test_what_the_machine_lacks_for_hosts_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BenchError, match="no ip on PATH"):
        hosts._run(Namespace(pack=None), Log(io.StringIO()))


def test_the_report_has_a_row_for_each_delay(tmp_path: Any) -> None:
    each = {"one_per_s": 50.0, "two_per_s": 98.0, "ratio": {"median": 1.96, "min": 1.9, "max": 2.0}}
    figures: dict[str, Any] = {
        **dict.fromkeys(("processor", "python", "pack"), "any"),
        "cores": 2,
        "versions": {"celery": "5.7.0"},
        "seed": 7,
        "rates": {"0": each, "10": each},
    }
    text = page(figures)
    assert "| 10 ms | 50 | 98 | 1.96 times (1.90 to 2.00) |" in text
    *_, plot = write_report(tmp_path, "hosts", figures, text, {"hosts": draw_rates(figures)})
    assert plot.name == "hosts.svg"
