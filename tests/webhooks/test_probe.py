"""The probe of the webhooks container."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from local.processes import ROOT
from tasks.store.deliveries import is_alive
from tasks.store.jobs import JobStore
from tests.conftest import eventually
from tests.webhooks.conftest import StartSender


def check(redis_url: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "webhooks", "check"]
    env = os.environ | {"REDIS_URL": redis_url}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_a_probe_succeeds_while_a_sender_works_and_fails_otherwise(
    redis_url: str, store: JobStore, start_sender: StartSender
) -> None:
    before = check(redis_url)
    assert (before.returncode, before.stderr) == (
        1,
        "webhooks: the sender of this host writes no heartbeat\n",
    )
    sender = start_sender()
    eventually(lambda: is_alive(store, socket.gethostname()))
    assert check(redis_url).returncode == 0
    sender.kill()
    eventually(lambda: not is_alive(store, socket.gethostname()))
    assert check(redis_url).returncode == 1


def test_a_probe_fails_where_redis_does_not_answer() -> None:
    done = check("redis://127.0.0.1:1/0")
    assert done.returncode == 1
    assert done.stderr.startswith("webhooks: ")
