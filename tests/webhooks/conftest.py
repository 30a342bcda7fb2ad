from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from local.processes import ROOT
from tests.webhooks.receiver import Receiver, receiving

StartSender = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(Receiver()) as receiver:
        yield receiver


@pytest.fixture
def start_sender(redis_url: str) -> Iterator[StartSender]:
    """Return a function that starts a real sender, allowed to deliver to this machine, with short delays."""
    with ExitStack() as stack:

        def start(**variables: str) -> subprocess.Popen[bytes]:
            env = os.environ | {
                "REDIS_URL": redis_url,
                "SENTIMENT_WEBHOOK_ALLOW": "127.0.0.1",
                "SENTIMENT_WEBHOOK_RETRIES_S": "0.2,0.4,0.8",
                **variables,
            }
            process = stack.enter_context(
                subprocess.Popen([sys.executable, "-m", "webhooks"], cwd=ROOT, env=env)
            )
            stack.callback(process.kill)
            return process

        yield start
