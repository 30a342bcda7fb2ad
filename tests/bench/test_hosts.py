"""Hosts of a bench: what runs in a namespace reaches Redis by its own link, late if that is delayed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import Any

import pytest

from bench.load.namespaces import hosts
from bench.program import BenchError
from bench.programs.hosts import draw_rates, page
from bench.writing import write_report
from local.redis_server import redis_server

_MAY = (os.geteuid() == 0 and shutil.which("ip")) or ""
_PING = """
import redis, sys, time
client = redis.Redis.from_url(sys.argv[1])
client.ping()
start = time.monotonic()
client.ping()
print(time.monotonic() - start)
"""


@pytest.mark.skipif(not _MAY, reason="network namespaces need root and iproute2")
def test_a_host_reaches_redis_by_its_link_with_its_delay() -> None:
    with redis_server() as url, hosts(2) as made:
        port = int(url.rpartition(":")[2].partition("/")[0])
        for host in made:
            with host.redis(port, 0.02) as far:
                assert host.near in far
                command = host.command(sys.executable, "-c", _PING, far)
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                assert float(done.stdout) >= 0.04
        # The loopback interface of a host is its own.
        command = made[0].command(sys.executable, "-c", _PING, url)
        assert subprocess.run(command, capture_output=True, check=False).returncode != 0
    left = subprocess.run([_MAY, "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert [host.name for host in made if host.name in left] == []


def test_without_the_right_to_make_them_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(BenchError, match="need root"), hosts(1):
        pass


def test_the_report_has_a_row_for_each_delay(tmp_path: Any) -> None:
    each = {"one_per_s": 50.0, "two_per_s": 98.0, "ratio": {"median": 1.96, "min": 1.9, "max": 2.0}}
    figures: dict[str, Any] = {
        **dict.fromkeys(("processor", "python", "pack"), "any"),
        "cores": 2,
        "versions": {"celery": "5.7.0"},
        "seed": 7,
        "delayed_by": "netem",
        "rates": {"0": each, "10": each},
    }
    text = page(figures)
    assert "| 10 ms | 50 | 98 | 1.96 times (1.90 to 2.00) |" in text
    assert "Links delayed by netem." in text
    *_, plot = write_report(tmp_path, "hosts", figures, text, {"hosts": draw_rates(figures)})
    assert plot.name == "hosts.svg"
