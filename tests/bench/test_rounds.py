"""Rounds of contenders, and what is measured of each, with a real server that answers at once."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bench.peers.catalogue import PEERS
from bench.peers.measuring import measure
from bench.peers.rounds import in_rounds, keep_in
from bench.peers.services import Service
from bench.program import BenchError

_CELERY = next(peer for peer in PEERS if peer.environment == "celery")

# CPU time of a process is counted in ticks of 10 ms: what uses less may show as none.
_BULK_CPU_S = 0.1
_SINGLE_CPU_S = 0.001


def _use_cpu(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        verdict = {"label": "LABEL_1", "score": 0.75}
        bulk = self.path == "/bulk"
        _use_cpu(_BULK_CPU_S if bulk else _SINGLE_CPU_S)
        answer = json.dumps([verdict] * len(body["texts"]) if bulk else verdict).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@pytest.fixture
def service() -> Iterator[Service]:
    with _Server(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Service(server.server_port, [os.getpid()], _CELERY.dialect, _CELERY.bulk)
        server.shutdown()


def test_every_load_is_measured_with_rates_cpu_and_latencies(service: Service) -> None:
    figures = measure(service, [f"第{number}家店" for number in range(200)], seconds=0.2, seed=1)
    assert {"bulk", "flood", "at_50%", "at_80%", "memory_mb"} == figures.keys()
    for load in ("bulk", "flood"):
        assert figures[load]["per_s"] > 0
        assert figures[load]["cpu_s_per_1000"] > 0
    assert figures["flood"]["texts"] >= 64
    assert figures["flood"]["refusals"] == 0
    assert all(figures[name]["count"] >= 30 for name in ("at_50%", "at_80%"))


def test_verdicts_are_read_as_the_peer_writes_them(service: Service) -> None:
    assert service.verdicts(["好", "坏"]) == [("LABEL_1", 0.75)] * 2


def test_each_round_begins_with_another_contender_and_a_failure_is_named_once() -> None:
    started: list[str] = []

    @contextmanager
    def start(name: str) -> Iterator[Any]:
        started.append(name)
        if name == "c" and len(started) > 3:
            raise BenchError("out of memory\nand more")
        yield name

    left_out: dict[str, str] = {}
    contenders = {name: lambda name=name: start(name) for name in "abc"}
    found = in_rounds(contenders, 3, lambda service, number: {"of": (service, number)}, left_out)
    assert started == ["a", "b", "c", "b", "c", "a", "a", "b"]
    assert left_out == {"c": "It failed: out of memory"}
    assert found == {name: [{"of": (name, number)} for number in range(3)] for name in "ab"}


def test_a_run_that_was_cut_off_goes_on_from_the_figures_that_were_kept(tmp_path: Path) -> None:
    contenders = {name: lambda name=name: nullcontext(name) for name in ("An engine, tuned", "b")}

    def fail(service: Any, number: int) -> dict[str, Any]:
        if (service, number) == ("b", 1):
            raise KeyboardInterrupt
        return {"of": [service, number]}

    with pytest.raises(KeyboardInterrupt):
        in_rounds(contenders, 2, fail, {}, tmp_path)
    measured: list[Any] = []

    def measure(service: Any, number: int) -> dict[str, Any]:
        measured.append((service, number))
        return {"of": [service, number]}

    found = in_rounds(contenders, 2, measure, {}, tmp_path)
    assert measured == [("b", 1), ("An engine, tuned", 1)]
    assert found == {name: [{"of": [name, number]} for number in range(2)] for name in contenders}


def test_figures_of_other_circumstances_are_not_gone_on_from(tmp_path: Path) -> None:
    folder = tmp_path / "figures"
    assert keep_in(folder, {"seed": 1}) == keep_in(folder, {"seed": 1}) == folder
    with pytest.raises(BenchError, match="measured otherwise"):
        keep_in(folder, {"seed": 2})


def test_when_all_fail_that_is_an_error() -> None:
    @contextmanager
    def fail() -> Iterator[Any]:
        raise BenchError("no room")
        yield

    with pytest.raises(BenchError, match="no room"):
        in_rounds({"a": fail}, 2, lambda *_: {}, {})
