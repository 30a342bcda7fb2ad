"""Tracing that is off loads nothing; tracing that is on without its packages refuses to start."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx2
import pytest

from local.ports import free_port
from local.processes import ROOT
from local.stack import ROLES, Stack
from tests.conftest import eventually, started_stack
from tests.tracing.collector import collecting
from tests.tracing.conftest import HERE
from tests.webhooks.receiver import Receiver, receiving

# Python then logs each module that it loads, in every process and child.
IMPORTS = {"PYTHONPROFILEIMPORTTIME": "1"}


def modules_in(log: str) -> set[str]:
    """Return the modules whose imports a log shows."""
    return set(re.findall(r"import time: .*\| +(\S+)$", log, re.MULTILINE))


def loaded_by(statement: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", statement], capture_output=True, text=True, check=True
    )
    return modules_in(done.stderr)


def of_opentelemetry(modules: set[str]) -> set[str]:
    """Return those of OpenTelemetry. redis-py loads some by itself where they are installed."""
    return {name for name in modules if name.partition(".")[0] == "opentelemetry"}


def loaded_by_stack(folder: Path, **variables: str) -> set[str]:
    """Run a job with a webhook through a stack; return all modules that its processes loaded."""
    with started_stack(folder, **HERE, **IMPORTS, **variables) as stack, receiving(Receiver()) as receiver:
        _submit(stack, receiver)
    return modules_in((folder / "stack.log").read_text("utf-8"))


def _submit(stack: Stack, receiver: Receiver) -> None:
    body = {"items": [{"text": "好"}], "webhook": {"url": receiver.url}}
    headers = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
    assert httpx2.post(f"{stack.url}/v1/jobs", json=body, headers=headers).is_success
    assert "traceparent" not in eventually(lambda: receiver.received)[0].headers


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"},
    ],
    ids=["unset", "disabled", "no exporter"],
)
def test_no_process_loads_opentelemetry_while_tracing_is_off(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    loaded = loaded_by_stack(tmp_path, **variables)
    assert "tasks.tracing.trace" in loaded
    assert of_opentelemetry(loaded) <= of_opentelemetry(loaded_by("import redis"))
    assert not loaded & {"opentelemetry.sdk.trace", "google.protobuf", "requests", "tasks.tracing.otel"}


def test_each_process_that_traces_loads_it(tmp_path: Path) -> None:
    def roles() -> set[str]:
        log = (tmp_path / "stack.log").read_text("utf-8").splitlines()
        return {line.split()[1] for line in log if "opentelemetry.sdk.trace" in line}

    with (
        collecting() as collector,
        started_stack(tmp_path, **HERE, **IMPORTS, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url),
    ):
        eventually(lambda: roles() == set(ROLES))


def run(command: Sequence[str], **variables: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | variables
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("role", ROLES)
def test_a_program_that_is_to_trace_without_the_sdk_does_not_start(
    role: str, redis_url: str, tmp_path: Path
) -> None:
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry" / "__init__.py").touch()  # hides the packages that are installed
    done = run(
        ROLES[role],
        REDIS_URL=redis_url,
        AUTH="none",
        PORT=str(free_port()),
        PYTHONPATH=str(tmp_path),
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
    )
    assert done.returncode
    assert "the extra `tracing`" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT='collector:4318'"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL='grpc': only http/protobuf",
        ),
    ],
    ids=["endpoint", "protocol"],
)
def test_a_wrong_variable_is_named(redis_url: str, variables: dict[str, str], expected: str) -> None:
    done = run(["webhooks"], REDIS_URL=redis_url, **variables)
    assert done.returncode == 1
    assert expected in done.stderr
