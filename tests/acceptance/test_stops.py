"""Every program ends in its grace while Redis is frozen, and refuses a node of a cluster at its start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from local.ports import PortError, free_port, require_free
from local.processes import ROOT, Group, Process
from local.redis_server import find_server, start_redis
from tests.conftest import started_stack

# Compose allows 90, 10 and 15 s, and `make up` 15 s.
GRACE_S = {"worker": 14, "webhooks": 9, "flower": 14}
PROGRAMS = {
    "api": ("gunicorn", "--config", "api/gunicorn.conf.py", "api.wsgi:app"),
    "keys": ("api.auth", "list"),
    "worker": ("celery", "-A", "worker.main", "worker"),
    "webhooks": ("webhooks",),
    "up": ("local.up",),
}


@contextmanager
def frozen(server: Process) -> Iterator[None]:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@pytest.mark.timeout(150)
def test_a_stop_while_redis_is_frozen_ends_in_its_grace_with_code_0(tmp_path: Path) -> None:
    with Group() as group:
        server, url = start_redis(group)
        with started_stack(tmp_path, redis_url=url, SENTIMENT_CONCURRENCY="1") as stack:
            stack.start_flower(free_port())
            programs = {process.name: process for process in stack.processes if process.name in GRACE_S}
            children = psutil.Process(programs["worker"].pid).children(recursive=True)
            with frozen(server):
                time.sleep(1)  # each program is in the middle of a command
                began = time.monotonic()
                for process in programs.values():
                    process.terminate()
                for name, process in programs.items():
                    left_s = began + GRACE_S[name] - time.monotonic()
                    assert process._popen.wait(timeout=max(left_s, 0.1)) == 0, name
                _, alive = psutil.wait_procs(children, timeout=1)
                assert {child.status() for child in alive} <= {psutil.STATUS_ZOMBIE}


def _port_with_a_bus() -> int:
    """Return a free port for Redis; that of its bus, always 10,000 above in Redis 6.2, is free too."""
    while True:
        port = free_port() - 10_000
        with suppress(PortError):
            require_free("PORT", port)
            return port


@pytest.fixture(scope="module")
def cluster_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port, folder = _port_with_a_bus(), tmp_path_factory.mktemp("cluster")
    options = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--cluster-enabled", "yes")
    with Group() as group:
        server = Process("redis", group.popen([find_server(), *options], None))
        deadline = time.monotonic() + 20
        while psutil.Process(server.pid).net_connections(kind="tcp") == []:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_node_of_a_cluster_is_refused_at_the_start(program: str, cluster_node: str) -> None:
    env = os.environ | {"REDIS_URL": cluster_node, "AUTH": "none", "PORT": str(free_port())}
    done = subprocess.run(
        [sys.executable, "-m", *PROGRAMS[program]],
        cwd=ROOT,
        env=env | {"FLOWER_PORT": str(free_port())},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    printed = done.stdout + done.stderr
    assert done.returncode != 0
    assert "REDIS_URL names a node in cluster mode" in printed, printed
    assert "Traceback" not in printed, printed
